/** The engine under Node: the package's files are read from disk, and base64 is the platform's own. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MeshError } from '../../entities/errors.ts';
import type { Engine } from '../../usecases/ports/engine.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';
import { nodeBase64 } from '../node/base64.ts';
import { createEngine } from './engine.ts';
import { type Bindings, startBindings } from './loader.ts';

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
