/** Makes an input smaller for as long as it still does what it is kept for. */
import { concat } from '../../src/entities/bytes.ts';
import { type Node, readTree, writeTree } from './cbor-tree.ts';
import type { Form } from './mutate.ts';

const MOST_TRIES = 3000;

export async function minimise(
  input: Uint8Array,
  form: Form,
  stillDoes: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const take = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries++ > MOST_TRIES || !(await stillDoes(candidate))) return false;
    best = candidate;
    return true;
  };

  if (form.kind === 'cbor') await withoutParts(best, form.prefix, take);
  for (let size = best.length >> 1; size > 0 && tries < MOST_TRIES; size >>= 1) {
    for (let at = 0; at < best.length; ) {
      const shorter = concat(best.subarray(0, at), best.subarray(at + size));
      if (!(await take(shorter))) at += size;
    }
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === 0) continue;
    const plainer = new Uint8Array(best);
    plainer[at] = 0;
    await take(plainer);
  }
  return best;
}

/** Takes out one child of an array after the other, and empties strings, with heads that stay right. */
async function withoutParts(
  input: Uint8Array,
  prefix: number,
  take: (candidate: Uint8Array) => Promise<boolean>,
): Promise<void> {
  const root = readTree(input.subarray(prefix));
  if (root === undefined) return;
  const written = (): Uint8Array => concat(input.subarray(0, prefix), writeTree(root));
  const visit = async (node: Node): Promise<void> => {
    const step = node.major === 5 ? 2 : 1;
    for (let at = 0; at + step <= (node.children?.length ?? 0); ) {
      const taken = node.children?.splice(at, step) ?? [];
      if (await take(written())) continue;
      node.children?.splice(at, 0, ...taken);
      at += step;
    }
    if (node.bytes !== undefined && node.bytes.length > 0) {
      const { bytes } = node;
      for (const shorter of [new Uint8Array(), bytes.slice(0, bytes.length >> 1)]) {
        node.bytes = shorter;
        if (await take(written())) break;
        node.bytes = bytes;
      }
    }
    for (const child of node.children ?? []) await visit(child);
  };
  await visit(root);
}
