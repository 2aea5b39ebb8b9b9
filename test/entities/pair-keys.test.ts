import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/entities/bytes.ts';
import type { MeshId } from '../../src/entities/mesh-id.ts';
import { envelopeDigest, envelopeKey, envelopeMac, pairContext } from '../../src/entities/pair-keys.ts';
import { Secret } from '../../src/entities/secret.ts';
import { filled, hash, laptop, mac, mesh, oneTimeKeys, phone } from '../wire-vectors/cast.ts';

const [otherKey] = oneTimeKeys(9);
if (otherKey === undefined) throw new Error('one key was asked for');
const context = (
  ...[from, to, id = mesh]: readonly [typeof laptop.party, typeof phone.party, MeshId?]
): string => toHex(pairContext(hash, id, from, to));

describe('what binds a message to a pair', () => {
  it('differs in each direction, in each mesh, and with each of the keys and ids', () => {
    const { keys } = laptop.party;
    const contexts = [
      context(laptop.party, phone.party),
      context(phone.party, laptop.party),
      context(laptop.party, laptop.party),
      context(laptop.party, phone.party, toHex(filled(32, 0x32)) as MeshId),
      context({ ...laptop.party, keys: { ...keys, agreement: otherKey } }, phone.party),
      context({ ...laptop.party, keys: { ...keys, signing: phone.party.keys.signing } }, phone.party),
      context({ ...laptop.party, id: phone.party.id }, phone.party),
    ];
    expect(new Set(contexts).size).toBe(contexts.length);
  });

  it('gives every session and direction an envelope key of its own, and none for another secret', () => {
    const id = filled(32, 1);
    const there = pairContext(hash, mesh, laptop.party, phone.party);
    const back = pairContext(hash, mesh, phone.party, laptop.party);
    const keys = [
      envelopeKey(mac, new Secret(filled(32, 5)), id, there),
      envelopeKey(mac, new Secret(filled(32, 5)), id, back),
      envelopeKey(mac, new Secret(filled(32, 5)), filled(32, 2), there),
      envelopeKey(mac, new Secret(filled(32, 6)), id, there),
    ].map((key) => toHex(key.expose()));
    expect(new Set(keys).size).toBe(4);
  });

  it('makes MACs of sixteen bytes that change with key and text, and digests with context and text', () => {
    const [one, two] = [new Secret(filled(32, 1)), new Secret(filled(32, 2))];
    const text = filled(100, 3);
    expect(envelopeMac(mac, one, text)).toHaveLength(16);
    const macs = [
      envelopeMac(mac, one, text),
      envelopeMac(mac, two, text),
      envelopeMac(mac, one, filled(99, 3)),
    ];
    expect(new Set(macs.map(toHex)).size).toBe(3);
    const digests = [
      envelopeDigest(hash, filled(32, 1), text),
      envelopeDigest(hash, filled(32, 2), text),
      envelopeDigest(hash, filled(32, 1), filled(101, 3)),
    ];
    expect(new Set(digests.map(toHex)).size).toBe(3);
  });
});
