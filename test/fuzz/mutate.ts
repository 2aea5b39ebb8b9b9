/** Makes an input out of another one. All chance comes from the seed. */
import { concat } from '../../src/entities/bytes.ts';
import type { Seeded } from '../simulation/seeded.ts';
import { grantInTree, mutateTree, readTree, writeTree } from './cbor-tree.ts';
import { NOTHING, type Wish } from './coverage.ts';

/** What an input looks like, so that it can be changed where it matters. */
export type Form =
  | { readonly kind: 'bytes' }
  /** Deterministic CBOR behind so many other bytes. */
  | { readonly kind: 'cbor'; readonly prefix: number };

export interface Palette {
  readonly form: Form;
  /** Words that a parser knows. */
  readonly dictionary: readonly Uint8Array[];
  readonly longest: number;
}

const MOST_STEPS = 3;
const MOST_REPEATED = 8192;
const INTERESTING = [0, 1, 0x0a, 0x0d, 0x20, 0x22, 0x7f, 0x80, 0xbf, 0xf4, 0xfe, 0xff];
/** Of a CBOR input so many changes go to its tree, and the rest to its bytes. */
const TREE_SHARE = 0.85;
/** So many changes do what a comparison asked for. */
const GRANTED = 0.4;

export function mutate(
  parent: Uint8Array,
  donor: Uint8Array,
  random: Seeded,
  palette: Palette,
  wishes: readonly Wish[] = [],
): Uint8Array {
  let bytes = parent;
  const steps = random.chance(0.6) ? 1 : 1 << random.below(MOST_STEPS + 1);
  for (let i = 0; i < steps; i++) {
    bytes =
      wishes.length > 0 && random.chance(GRANTED)
        ? grant(bytes, random.pick(wishes), random, palette.form)
        : step(bytes, donor, random, palette, 0);
  }
  return bytes.length > palette.longest ? bytes.slice(0, palette.longest) : bytes;
}

/** Makes of a number that was compared in vain the one that it was compared with, where it may come from. */
function grant(bytes: Uint8Array, wish: Wish, random: Seeded, form: Form): Uint8Array {
  const isAbsent = wish[0] === NOTHING;
  const [is, wanted] = isAbsent || random.chance(0.5) ? wish : [wish[1], wish[0]];
  if (form.kind === 'cbor' && random.chance(TREE_SHARE)) {
    const root = readTree(bytes.subarray(form.prefix));
    if (root !== undefined) {
      grantInTree(root, is, wanted, random);
      return concat(bytes.subarray(0, form.prefix), writeTree(root));
    }
  }
  const places = [...bytes.keys()].filter((at) => bytes[at] === is);
  if (places.length > 0 && random.chance(0.8)) return withByte(bytes, random.pick(places), () => wanted);
  const at = random.chance(0.5) ? bytes.length : random.below(bytes.length + 1);
  return concat(bytes.subarray(0, at), Uint8Array.of(wanted), bytes.subarray(at));
}

function step(
  bytes: Uint8Array,
  donor: Uint8Array,
  random: Seeded,
  palette: Palette,
  depth: number,
): Uint8Array {
  const { form, dictionary } = palette;
  if (form.kind === 'cbor' && random.chance(TREE_SHARE)) {
    const root = readTree(bytes.subarray(form.prefix));
    if (root !== undefined) {
      const other = random.chance(0.5) ? readTree(donor.subarray(form.prefix)) : undefined;
      const nested: Palette = { ...palette, form: { kind: 'cbor', prefix: 0 } };
      mutateTree(root, random, dictionary, other, (inner) =>
        depth < 2 ? step(inner, inner, random, nested, depth + 1) : changed(inner, donor, random, dictionary),
      );
      return concat(bytes.subarray(0, form.prefix), writeTree(root));
    }
  }
  return changed(bytes, donor, random, dictionary);
}

/** One change that knows nothing of any format. */
function changed(
  bytes: Uint8Array,
  donor: Uint8Array,
  random: Seeded,
  dictionary: readonly Uint8Array[],
): Uint8Array {
  const at = random.below(bytes.length + 1);
  const size = 1 + random.below(random.chance(0.2) ? 64 : 6);
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(at);
  switch (random.below(12)) {
    case 0:
      return withByte(bytes, at, (byte) => byte ^ (1 << random.below(8)));
    case 1:
      return withByte(bytes, at, () => random.below(256));
    case 2:
      return withByte(bytes, at, () => random.pick(INTERESTING));
    case 3:
      return withByte(bytes, at, (byte) => byte + random.below(9) - 4);
    case 4:
      return concat(before, random.bytes(size), after);
    case 5:
      return concat(before, after.subarray(size));
    case 6: {
      const from = random.below(bytes.length + 1);
      return concat(before, bytes.subarray(from, from + size), after);
    }
    case 7: {
      const from = random.below(donor.length + 1);
      return concat(before, donor.subarray(from, from + size * 4), after);
    }
    case 8:
      return concat(before, donor.subarray(random.below(donor.length + 1)));
    case 9:
      return bytes.slice(0, at);
    case 10: {
      // Many of the same: some bounds are only met this way.
      const from = random.below(bytes.length + 1);
      const piece =
        dictionary.length > 0 && random.chance(0.5)
          ? random.pick(dictionary)
          : bytes.subarray(from, from + size);
      const times = random.chance(0.1) ? 1 << random.below(9) : 1;
      return piece.length * times > MOST_REPEATED
        ? bytes
        : concat(before, ...new Array<Uint8Array>(times).fill(piece), after);
    }
    default: {
      if (dictionary.length === 0) return concat(before, Uint8Array.of(random.pick(INTERESTING)), after);
      const token = random.pick(dictionary);
      return concat(before, token, random.chance(0.5) ? after : after.subarray(token.length));
    }
  }
}

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = new Uint8Array(bytes);
  if (at < copy.length) copy[at] = change(copy[at] ?? 0);
  return copy;
}
