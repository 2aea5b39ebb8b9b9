/**
 * Starts the WebAssembly build of vodozemac on any platform.
 *
 * The package comes with left-over demo code in its start function: it wants a `Window` as its global object
 * and appends a paragraph to the page. It looks for `self` first, so a stand-in `self` satisfies it anywhere,
 * with or without a page, and nothing of it reaches the page. It also remembers for good where random numbers
 * come from; they are drawn once while the stand-in is there, so they come from the given source ever after.
 */
import type * as VodozemacBindings from 'vodozemac-wasm-bindings';
import { MeshError } from '../../entities/errors.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';

export type Bindings = typeof VodozemacBindings;

/** The bytes of the package's `.wasm` file, or what the platform compiled from them. */
export type WasmModule = Uint8Array | object;

/**
 * Starts `bindings`, which must be a fresh instance of the package's module: one that was started before keeps
 * its first source of randomness, and is refused. Throws `engine-not-loadable`. Whatever happens, the globals
 * are afterwards what they were.
 */
export function startBindings(bindings: Bindings, wasm: WasmModule, randomness: Randomness): void {
  let drawn = false;
  const fill = (target: Uint8Array): void => {
    target.set(randomness(target.length));
    drawn = true;
  };
  try {
    withStandIns(fill, () => {
      bindings.initSync({ module: wasm });
      new bindings.Account().free();
    });
  } catch (error) {
    throw notLoadable(error instanceof Error ? error.message : String(error), error);
  }
  if (!drawn) throw notLoadable('it takes its random numbers from elsewhere');
}

function notLoadable(detail: string, cause?: unknown): MeshError {
  return new MeshError('engine-not-loadable', { detail }, cause);
}

/** Runs `start` without a break in between, so no other code ever sees the stand-ins. */
function withStandIns(fill: (target: Uint8Array) => void, start: () => void): void {
  class StandInWindow {
    readonly crypto = { getRandomValues: fill };
    readonly document = { createElement: () => ({}), body: { appendChild: () => null } };
  }
  const restore = [shadow('Window', StandInWindow)];
  try {
    restore.unshift(shadow('self', new StandInWindow()));
    start();
  } finally {
    for (const undo of restore) undo();
  }
}

/** Puts `value` before a global and returns the function that puts back exactly what was there. */
function shadow(name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, enumerable: false, writable: false });
  return () => {
    Reflect.deleteProperty(globalThis, name);
    if (before !== undefined) Object.defineProperty(globalThis, name, before);
  };
}
