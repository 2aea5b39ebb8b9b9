/** What is fuzzed, and when it is wrong. */
import { MeshError } from '../../src/entities/errors.ts';
import type { Palette } from './mutate.ts';

export interface Target extends Palette {
  readonly name: string;
  /** The modules whose counters lead the search, by the beginnings of their paths. */
  readonly watched: readonly string[];
  readonly seeds: readonly Uint8Array[];
  /** Throws where the code does with the input what it must not. A documented refusal is none of that. */
  readonly examine: (input: Uint8Array) => void | Promise<void>;
}

/** Throws with what is wrong; the fuzzer calls anything that is thrown a finding. */
export function demand(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

export function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** What it returns, or the stable code of its `MeshError`. Everything else goes on. */
export function valueOrCode<T>(work: () => T): { readonly ok: T } | { readonly refused: string } {
  try {
    return { ok: work() };
  } catch (error) {
    if (error instanceof MeshError) return { refused: error.code };
    throw error;
  }
}

export async function laterValueOrCode<T>(
  work: () => Promise<T>,
): Promise<{ readonly ok: T } | { readonly refused: string }> {
  try {
    return { ok: await work() };
  } catch (error) {
    if (error instanceof MeshError) return { refused: error.code };
    throw error;
  }
}
