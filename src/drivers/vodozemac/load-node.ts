/** The engine under Node: the package's files are read from disk, and base64 is the platform's own. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MeshError } from '../../entities/errors.ts';
import type { Engine } from '../../usecases/ports/engine.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { type Base64, createEngine } from './engine.ts';
import { type Bindings, startBindings } from './loader.ts';

/** Several times faster than script, and these are the strings that every message passes through. */
export const nodeBase64: Base64 = {
  encode(bytes) {
    const padded = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    const padding = padded.endsWith('==') ? 2 : padded.endsWith('=') ? 1 : 0;
    return padding === 0 ? padded : padded.slice(0, -padding);
  },
  /** Decodes into memory of its own: Node's shared pool would keep a copy of secrets. */
  decode(text) {
    const bytes = new Uint8Array(Buffer.byteLength(text, 'base64'));
    Buffer.from(bytes.buffer).write(text, 'base64');
    return bytes;
  },
};

/** Throws `engine-not-loadable`. */
export async function loadEngine(randomness: Randomness): Promise<Engine> {
  return createEngine(await loadBindings(randomness), nodeBase64);
}

let loads = 0;

/**
 * A fresh instance each time, with memory and randomness of its own: the query makes Node evaluate the
 * package's module anew. Instances are never unloaded, so a program loads one; only a simulation loads more.
 */
export async function loadBindings(randomness: Randomness): Promise<Bindings> {
  const { bindings, wasm } = await readPackage().catch((error: unknown) => {
    throw new MeshError('engine-not-loadable', { detail: 'its package is incomplete' }, error);
  });
  startBindings(bindings, wasm, randomness);
  return bindings;
}

async function readPackage(): Promise<{ bindings: Bindings; wasm: Uint8Array }> {
  const script = createRequire(import.meta.url).resolve('vodozemac-wasm-bindings');
  const url = pathToFileURL(script);
  url.searchParams.set('instance', String(loads++));
  const bindings: Bindings = await import(url.href);
  return { bindings, wasm: readFileSync(join(dirname(script), 'vodozemac_bg.wasm')) };
}
