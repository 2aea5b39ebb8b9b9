/**
 * Structured-random bytes through the decoders. `FUZZ_DECODER` says how many; the continuous integration runs a
 * million, `npm test` fewer. The seed stands still, so a failure comes back.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../../../src/entities/bytes.ts';
import { authenticatorBytes, decodeEnvelope, encodeEnvelope } from '../../../src/entities/wire/envelope.ts';
import { pad } from '../../../src/entities/wire/padding.ts';
import { decodeCore, decodeParcel, encodeCore, encodeParcel } from '../../../src/entities/wire/parcel.ts';
import { Seeded } from '../../simulation/seeded.ts';
import { head, raw } from '../../wire-vectors/raw-cbor.ts';
import { anyEnvelope, anyParcel } from './arbitraries.ts';
import { REFUSALS } from './refusals.ts';

const COUNT = Number(process.env.FUZZ_DECODER ?? 100_000);

const seeded = new Seeded(20_260_101);
const SEALED = new Uint8Array(64).fill(7);
const models = {
  envelopes: fc.sample(anyEnvelope, { numRuns: 300, seed: 1 }).map((one) => {
    const digests = 'attached' in one ? one.attached.map(() => SEALED.subarray(0, 32)) : [];
    return encodeEnvelope(one, () => SEALED.subarray(0, authenticatorBytes(one.kind)), digests);
  }),
  parcels: fc.sample(anyParcel, { numRuns: 300, seed: 2 }).map(encodeParcel),
  cores: fc
    .sample(fc.uint8Array({ maxLength: 400 }), { numRuns: 100, seed: 3 })
    .map((inside) => encodeCore(new Uint8Array(16), { inside })),
};

/** Something real with a few things wrong with it. */
function mutated(model: Uint8Array): Uint8Array {
  let bytes: Uint8Array = model.slice();
  for (let i = seeded.below(3); i >= 0; i--) {
    const at = seeded.below(bytes.length + 1);
    const size = 1 + seeded.below(8);
    switch (seeded.below(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << seeded.below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = seeded.below(256);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = concat(bytes.subarray(0, at), seeded.bytes(size), bytes.subarray(at));
        break;
      case 4:
        bytes = concat(bytes.subarray(0, at), bytes.subarray(at + size));
        break;
      default:
        bytes = concat(bytes.subarray(0, at), bytes.subarray(seeded.below(bytes.length + 1)));
    }
  }
  return bytes;
}

const ODDITIES = [
  raw(0xf6),
  raw(0xf5),
  raw(0xf7),
  raw(0xf9, 0, 0),
  raw(0xfb),
  raw(0xc1),
  raw(0x5f),
  raw(0x9f),
  raw(0xff),
];

/** A tree of CBOR heads: mostly in order, sometimes with a length or a kind that is not. */
function tree(depth: number): Uint8Array {
  const wrong = seeded.chance(0.02);
  switch (seeded.below(depth > 0 ? 8 : 5)) {
    case 0:
      return wrong ? raw(0x18, seeded.below(24)) : head(0, seeded.below(2 ** 32) >>> seeded.below(32));
    case 1:
    case 2: {
      const length = seeded.pick([0, 1, 8, 16, 20, 32, 64, 40]);
      return concat(head(2, wrong ? length + 1 : length), seeded.bytes(length));
    }
    case 3:
      return concat(head(3, 3), wrong ? seeded.bytes(3) : raw(0x61, 0x62, 0x63));
    case 4:
      return seeded.chance(0.3) ? seeded.pick(ODDITIES) : head(seeded.below(2), seeded.below(30));
    case 5: {
      const pairs = seeded.below(4);
      const parts = Array.from({ length: pairs }, () => [
        concat(head(3, 1), seeded.bytes(1)),
        tree(depth - 1),
      ]);
      return concat(head(5, wrong ? pairs + 1 : pairs), ...parts.flat());
    }
    default: {
      const length = seeded.below(8);
      const parts = Array.from({ length }, () => tree(depth - 1));
      return concat(head(4, wrong ? length + 1 : length), ...parts);
    }
  }
}

function candidate(): Uint8Array {
  switch (seeded.below(5)) {
    case 0:
    case 1:
      return mutated(seeded.pick(models.envelopes));
    case 2:
      return concat(raw(1), tree(seeded.below(7)));
    case 3:
      return seeded.bytes(seeded.below(120));
    default:
      return concat(raw(1), seeded.bytes(seeded.below(60)));
  }
}

function judge(
  outcome: { readonly ok: unknown } | { readonly refused: string },
  seen: Map<string, number>,
): void {
  const name = 'ok' in outcome ? 'ok' : outcome.refused;
  if (name !== 'ok' && !REFUSALS.has(name)) throw new Error(`an unknown refusal: ${name}`);
  seen.set(name, (seen.get(name) ?? 0) + 1);
}

describe('the decoders', () => {
  it(`take ${COUNT} strange envelopes, and cores and parcels, and only ever refuse with a code`, () => {
    const envelopes = new Map<string, number>();
    const insides = new Map<string, number>();
    for (let i = 0; i < COUNT; i++) {
      judge(decodeEnvelope(candidate()), envelopes);
      switch (i % 4) {
        case 0:
          judge(decodeParcel(mutated(seeded.pick(models.parcels))), insides);
          break;
        case 1:
          judge(decodeParcel(pad(mutated(textOf(seeded.pick(models.parcels))))), insides);
          break;
        case 2:
          judge(decodeParcel(pad(tree(7))), insides);
          break;
        default:
          judge(decodeCore(mutated(seeded.pick(models.cores))), insides);
      }
    }
    // The candidates would prove little if they were all refused at the first byte.
    const reached = ['ok', 'envelope-malformed', 'envelope-unknown-kind', 'cbor-malformed', 'cbor-too-deep'];
    for (const name of reached) expect(envelopes.get(name) ?? 0, name).toBeGreaterThan(COUNT / 5000);
    for (const name of ['ok', 'parcel-padding', 'parcel-malformed', 'item-malformed', 'cbor-malformed']) {
      expect(insides.get(name) ?? 0, name).toBeGreaterThan(COUNT / 5000);
    }
  }, 600_000);
});

/** The text inside a padded parcel. */
function textOf(padded: Uint8Array): Uint8Array {
  const [a = 0, b = 0, c = 0, d = 0] = padded;
  return padded.subarray(4, 4 + ((a << 24) | (b << 16) | (c << 8) | d));
}
