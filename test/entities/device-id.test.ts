import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hash } from '../../src/entities/crypto.ts';
import {
  deriveDeviceId,
  deviceIdBytes,
  deviceIdFromBytes,
  fingerprint,
  parseDeviceId,
} from '../../src/entities/device-id.ts';
import { parseDeviceKeys } from '../../src/entities/keys.ts';

const sha256: Hash = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

function keys(signing: number, agreement: number) {
  const parsed = parseDeviceKeys(new Uint8Array(32).fill(signing), new Uint8Array(32).fill(agreement));
  if ('refused' in parsed) throw new Error(parsed.refused);
  return parsed.ok;
}

describe('a device id', () => {
  it('follows from both keys and from nothing else', () => {
    const id = deriveDeviceId(sha256, keys(7, 9));
    expect(id).toBe(deriveDeviceId(sha256, keys(7, 9)));
    expect(id).not.toBe(deriveDeviceId(sha256, keys(8, 9)));
    expect(id).not.toBe(deriveDeviceId(sha256, keys(7, 10)));
    expect(id).not.toBe(deriveDeviceId(sha256, keys(9, 7)));
  });

  it('is the same for the same keys in every release', () => {
    expect(deriveDeviceId(sha256, keys(7, 9))).toMatchInlineSnapshot(`"jrgyguzicmgchscprvarizg6oihufbxj"`);
  });

  it('reads back as what it was, and in no second spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
        const id = deviceIdFromBytes(bytes);
        if (id === undefined) throw new Error('twenty bytes make an id');
        expect(deviceIdBytes(id)).toEqual(bytes);
        expect(parseDeviceId(id)).toBe(id);
        expect(/[a-z]/.test(id) ? parseDeviceId(id.toUpperCase()) : undefined).toBeUndefined();
        expect(parseDeviceId(`${id}a`)).toBeUndefined();
        expect(parseDeviceId(id.slice(1))).toBeUndefined();
      }),
    );
  });

  it('is refused with letters that base32 does not have', () => {
    for (const letter of ['0', '1', '8', '9', '=', ' ', 'ä']) {
      expect(parseDeviceId(letter.repeat(32))).toBeUndefined();
    }
  });

  it('is shown in groups of four', () => {
    const id = deriveDeviceId(sha256, keys(7, 9));
    expect(fingerprint(id)).toMatch(/^([a-z2-7]{4} ){7}[a-z2-7]{4}$/);
    expect(fingerprint(id).replaceAll(' ', '')).toBe(id);
  });
});
