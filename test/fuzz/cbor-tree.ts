/**
 * CBOR as a tree that can be pulled about and written again. It is read leniently, for what is being fuzzed need
 * not be sound, and written correctly, but for what was broken on purpose.
 */
import { concat } from '../../src/entities/bytes.ts';
import type { Seeded } from '../simulation/seeded.ts';
import { head } from '../wire-vectors/raw-cbor.ts';

/** Numbers, `true` and the like have an argument; strings have bytes; arrays and maps have children. */
export interface Node {
  major: number;
  argument: number;
  bytes: Uint8Array | undefined;
  children: Node[] | undefined;
  /** Written in the place of its head where somebody broke it. */
  oddHead: Uint8Array | undefined;
}

const DEEPEST = 40;
const MOST_NODES = 4000;
const LENGTHS = [0, 1, 4, 7, 8, 9, 15, 16, 17, 20, 24, 31, 32, 33, 48, 63, 64, 65, 255, 256, 257, 1025];
const NUMBERS = [0, 1, 2, 3, 7, 8, 16, 23, 24, 64, 255, 256, 1024, 65_535, 65_536, 2 ** 20, 2 ** 32];
const MOST_GRANTED = 2048;
const HUGE = [2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1, 2 ** 53 - 2];

export function readTree(bytes: Uint8Array): Node | undefined {
  let at = 0;
  let nodes = 0;
  const read = (depth: number): Node | undefined => {
    const first = bytes[at++];
    if (first === undefined || depth > DEEPEST || ++nodes > MOST_NODES) return undefined;
    const major = first >> 5;
    const info = first & 0x1f;
    if (info > 27) return undefined;
    let argument = info;
    if (info >= 24) {
      argument = 0;
      for (let width = 1 << (info - 24); width > 0; width--) argument = argument * 256 + (bytes[at++] ?? 0);
    }
    const node: Node = { major, argument, bytes: undefined, children: undefined, oddHead: undefined };
    if (major === 2 || major === 3) {
      if (at + argument > bytes.length) return undefined;
      node.bytes = bytes.slice(at, at + argument);
      at += argument;
    }
    if (major === 4 || major === 5) {
      const children: Node[] = [];
      for (let left = major === 4 ? argument : argument * 2; left > 0; left--) {
        const child = read(depth + 1);
        if (child === undefined) return undefined;
        children.push(child);
      }
      node.children = children;
    }
    return node;
  };
  const root = read(0);
  return at === bytes.length ? root : undefined;
}

export function writeTree(node: Node): Uint8Array {
  const length = node.bytes?.length ?? node.children?.length ?? node.argument;
  const own = node.oddHead ?? head(node.major, node.major === 5 ? Math.floor(length / 2) : length);
  if (node.bytes !== undefined) return concat(own, node.bytes);
  return node.children === undefined ? own : concat(own, ...node.children.map(writeTree));
}

const made = (major: number, rest: Partial<Node>): Node => ({
  major,
  argument: 0,
  bytes: undefined,
  children: undefined,
  oddHead: undefined,
  ...rest,
});
const simple = (argument: number): Node => made(7, { argument });

/** With its children behind it. */
function all(node: Node): Node[] {
  return [node, ...(node.children ?? []).flatMap(all)];
}

const copyOf = (node: Node): Node => ({ ...node, children: node.children?.map(copyOf) });

function anyNumber(random: Seeded): number {
  if (random.chance(0.1)) return random.pick(HUGE);
  return random.chance(0.6) ? random.pick(NUMBERS) : random.below(2 ** 32) >>> random.below(32);
}

function anyNode(random: Seeded, dictionary: readonly Uint8Array[]): Node {
  switch (random.below(6)) {
    case 0:
      return made(random.below(8) === 0 ? 1 : 0, { argument: anyNumber(random) });
    case 1:
      return made(2, { bytes: random.bytes(random.pick(LENGTHS)) });
    case 2:
      return made(2 + random.below(2), { bytes: tokenOr(random, dictionary) });
    case 3:
      return simple(random.pick([20, 21, 22, 22, 23]));
    case 4:
      return made(4, {
        children: Array.from({ length: random.below(4) }, () => anyNode(random, dictionary)),
      });
    default: {
      const pairs = Array.from({ length: random.below(3) }, () => [
        made(3, { bytes: tokenOr(random, dictionary) }),
        anyNode(random, dictionary),
      ]);
      return made(5, { children: pairs.flat() });
    }
  }
}

function tokenOr(random: Seeded, dictionary: readonly Uint8Array[]): Uint8Array {
  return dictionary.length === 0 ? random.bytes(random.below(6)) : random.pick(dictionary);
}

function replace(node: Node, by: Node): void {
  Object.assign(node, copyOf(by));
}

/**
 * Changes the tree in one place. `donor` is another input's tree, of which a part may be taken; `inside` mutates
 * the bytes of a string that holds CBOR of its own.
 */
export function mutateTree(
  root: Node,
  random: Seeded,
  dictionary: readonly Uint8Array[],
  donor: Node | undefined,
  inside: (bytes: Uint8Array) => Uint8Array,
): void {
  const nodes = all(root);
  const node = random.pick(nodes);
  const lists = nodes.filter(({ children }) => children !== undefined);
  const list = lists.length === 0 ? undefined : random.pick(lists).children;
  switch (random.below(13)) {
    case 0:
      return replace(node, anyNode(random, dictionary));
    case 1:
      return donor === undefined ? undefined : replace(node, random.pick(all(donor)));
    case 2:
      // One more of what is there already, or of what stands elsewhere.
      if (list !== undefined) {
        const one = copyOf(list.length > 0 && random.chance(0.7) ? random.pick(list) : random.pick(nodes));
        const count = random.chance(0.05)
          ? random.pick([8, 16, 64, 300])
          : 1 + random.below(random.chance(0.4) ? 8 : 1);
        for (let i = 0; i < count && all(one).length * count < MOST_NODES; i++) {
          list.splice(random.below(list.length + 1), 0, copyOf(one));
        }
      }
      return;
    case 3:
      if (list !== undefined) {
        const part = donor === undefined || random.chance(0.3) ? undefined : random.pick(all(donor));
        const count = part === undefined && random.chance(0.4) ? 1 + random.below(8) : 1;
        for (let i = 0; i < count; i++) {
          list.splice(random.below(list.length + 1), 0, copyOf(part ?? anyNode(random, dictionary)));
        }
      }
      return;
    case 4:
      if (list !== undefined && list.length > 0) list.splice(random.below(list.length), 1);
      return;
    case 5:
      if (list !== undefined && list.length > 1) {
        const [moved] = list.splice(random.below(list.length), 1);
        if (moved !== undefined) list.splice(random.below(list.length + 1), 0, moved);
      }
      return;
    case 6:
      return replace(node, made(4, { children: [copyOf(node)] }));
    case 7:
      return node.children?.[0] === undefined ? undefined : replace(node, node.children[0]);
    case 8: {
      const numbers = nodes.filter(({ major }) => major < 2);
      if (numbers.length === 0) return;
      const number = random.pick(numbers);
      number.argument = random.chance(0.5)
        ? Math.max(0, number.argument + random.below(5) - 2)
        : anyNumber(random);
      return;
    }
    case 9:
    case 10: {
      const strings = nodes.filter(({ bytes }) => bytes !== undefined);
      if (strings.length === 0) return;
      const string = random.pick(strings);
      const bytes = string.bytes ?? new Uint8Array();
      if (random.chance(0.15)) string.major = 5 - string.major;
      else if (random.chance(0.3)) string.bytes = tokenOr(random, dictionary);
      else if (random.chance(0.4)) string.bytes = resized(bytes, random.pick(LENGTHS));
      else string.bytes = inside(bytes);
      return;
    }
    case 11:
      return replace(node, simple(random.pick([20, 21, 22])));
    default:
      // A head that no encoder writes: of another kind, too long, or of a length that is not there.
      node.oddHead = random.pick([
        Uint8Array.of((node.major << 5) | 24, random.below(24)),
        Uint8Array.of((node.major << 5) | 31),
        head(node.major, anyNumber(random)),
        Uint8Array.of(0xc0 | random.below(24)),
        Uint8Array.of(0xf9, random.below(256), random.below(256)),
        Uint8Array.of(0xe0 | random.below(24)),
      ]);
  }
}

/**
 * Sets a number, or the length of a string or list, that is `is` to what it should have been. A list may be longer
 * by the items that were taken off its beginning before its length was looked at.
 */
export function grantInTree(root: Node, is: number, wanted: number, random: Seeded): void {
  if (!Number.isSafeInteger(is) || !Number.isSafeInteger(wanted) || wanted < 0) return;
  const fits = all(root).filter(({ major, argument, bytes, children }) => {
    if (children !== undefined) return children.length >= is && children.length <= is + 3;
    return bytes === undefined ? major < 2 && argument === is : bytes.length === is;
  });
  if (fits.length === 0) return;
  const node = random.pick(fits);
  if (node.bytes !== undefined && wanted <= MOST_GRANTED) node.bytes = resized(node.bytes, wanted);
  if (node.bytes === undefined && node.children === undefined) node.argument = wanted;
  const { children } = node;
  if (children === undefined || Math.abs(wanted - is) > MOST_GRANTED >> 4) return;
  for (let i = is; i < wanted; i++)
    children.splice(random.below(children.length + 1), 0, anyNode(random, []));
  for (let i = wanted; i < is; i++) children.splice(random.below(children.length), 1);
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const sized = new Uint8Array(length);
  sized.set(bytes.subarray(0, length));
  return sized;
}
