import { open } from 'node:fs/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { SegmentReader } from '../../../src/drivers/level/segment-reader.ts';

vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  open: vi.fn(),
}));
afterEach(() => vi.mocked(open).mockReset());

it.each([
  ['EMFILE', 'store-unreadable'],
  ['ENFILE', 'store-unreadable'],
  ['ENOMEM', 'store-unreadable'],
  ['EIO', 'store-damaged'],
])('says of %s what it means for the store: %s', async (code, expected) => {
  vi.mocked(open).mockRejectedValue(Object.assign(new Error(code), { code }));
  const reader = new SegmentReader((segment) => `/segments/${segment}`);
  await expect(reader.read({ segment: 1, offset: 0, length: 10 })).rejects.toMatchObject({ code: expected });
});
