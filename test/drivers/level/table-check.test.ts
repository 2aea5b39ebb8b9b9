import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLevel } from '../../../src/drivers/level/level-key-value.ts';
import { crc32c, isWholeTable } from '../../../src/drivers/level/table-check.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { temporaryDirectory } from '../../support/home.ts';

test('CRC-32C gives the values of RFC 3720', () => {
  expect(crc32c(utf8('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
});

test('a table of many blocks is whole, and no longer with any byte changed or missing', async () => {
  const base = await temporaryDirectory();
  const path = join(base, 'db');
  let database = await openLevel(path, { create: true });
  for (let i = 0; i < 200; i++)
    await database.write([{ name: utf8(`r${i}`), put: new Uint8Array(100).fill(i) }]);
  await database.close();
  database = await openLevel(path, { create: false });
  await database.close();
  const name = (await readdir(path)).find((file) => file.endsWith('.ldb')) ?? '';
  const table = Uint8Array.from(await readFile(join(path, name)));
  await rm(base, { recursive: true });
  expect(table.length).toBeGreaterThan(20_000);
  expect(isWholeTable(table)).toBe(true);
  const padding: number[] = [];
  for (let at = 0; at < table.length; at += at < table.length - 400 ? 97 : 1) {
    const changed = table.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    if (isWholeTable(changed)) padding.push(at);
    expect(isWholeTable(table.subarray(0, at))).toBe(false);
  }
  // The footer has a fixed size and is filled up with bytes that nobody reads.
  for (const at of padding) expect(at).toBeGreaterThan(table.length - 48);
});
