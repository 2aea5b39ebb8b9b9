/**
 * The one passage into the engine's memory. It notices when the engine has broken down in the middle of a call:
 * its memory is then in no known state, and nothing is ever asked of it again.
 */
import { MeshError } from '../../entities/errors.ts';
import type { Handle } from '../../usecases/ports/engine.ts';

/** Every platform that runs WebAssembly has it; no type library that drivers use does. */
declare const WebAssembly: { readonly RuntimeError: new (message?: string) => Error };

interface Freeable {
  free(): void;
}

export class Guard {
  #trap: { readonly cause: unknown } | undefined;

  /** Passes on what `call` returns and throws, but for a trap: `engine-trap`, now and for every later call. */
  run<T>(call: () => T): T {
    if (this.#trap !== undefined) throw new MeshError('engine-trap', {}, this.#trap.cause);
    try {
      return call();
    } catch (error) {
      if (!isTrap(error)) throw error;
      this.#trap = { cause: error };
      throw new MeshError('engine-trap', {}, error);
    }
  }

  get trapped(): boolean {
    return this.#trap !== undefined;
  }
}

/** A stack that overflows inside the engine is a RangeError in V8, and as fatal as any other trap. */
function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

/** An object in the engine's memory, until it is disposed of. */
export class Owned<Raw extends Freeable> implements Handle {
  readonly #guard: Guard;
  #raw: Raw | undefined;

  constructor(guard: Guard, raw: Raw) {
    this.#guard = guard;
    this.#raw = raw;
  }

  use<T>(call: (raw: Raw) => T): T {
    const raw = this.#raw;
    if (raw === undefined) throw new Error('a handle of the crypto engine was used after it was disposed of');
    return this.#guard.run(() => call(raw));
  }

  /** After a trap there is no memory to give back, and whoever cleans up is not to be disturbed. */
  dispose(): void {
    const raw = this.#raw;
    this.#raw = undefined;
    if (raw !== undefined && !this.#guard.trapped) this.#guard.run(() => raw.free());
  }
}

/**
 * Reads from an object that the engine made for one answer, and frees it whatever happens; only a trap is left
 * as it is, because freeing would trap again and hide it.
 */
export function consume<Raw extends Freeable, T>(raw: Raw, read: (raw: Raw) => T): T {
  let answer: T;
  try {
    answer = read(raw);
  } catch (error) {
    if (!isTrap(error)) raw.free();
    throw error;
  }
  raw.free();
  return answer;
}
