import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContext, Script } from 'node:vm';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../../src/drivers/node/randomness.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';

const dir = mkdtempSync(join(tmpdir(), 'mesh-neutral-'));
let script: Script;

beforeAll(async () => {
  const bundle = await rolldown({
    input: join(import.meta.dirname, 'scenario.ts'),
    platform: 'neutral',
    resolve: { mainFields: ['module', 'main'] },
  });
  const file = join(dir, 'scenario.js');
  await bundle.write({ file, format: 'iife', name: 'inner' });
  await bundle.close();
  script = new Script(`${readFileSync(file, 'utf8')}\ninner.scenario;`);
}, 60_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Plain = (value: unknown) => unknown;

/** What crosses into the context becomes a thing of the context: its bytes are its own kind of bytes. */
function membrane(plain: Plain): (value: unknown) => unknown {
  const wrap = (value: unknown): unknown => {
    if (ArrayBuffer.isView(value)) return plain(value);
    if (Array.isArray(value)) return value.map(wrap);
    if (typeof value === 'function')
      return (...args: unknown[]) => wrap(Reflect.apply(value, undefined, args));
    if (typeof value !== 'object' || value === null) return value;
    // An empty target, because a frozen one would have to be answered for as it is.
    return new Proxy(
      {},
      {
        has: (_, name) => Reflect.has(value, name),
        get(_, name) {
          const found: unknown = Reflect.get(value, name, value);
          if (typeof found !== 'function') return wrap(found);
          return (...args: unknown[]) => wrap(Reflect.apply(found, value, args));
        },
      },
    );
  };
  return wrap;
}

function bareContext(): ReturnType<typeof createContext> {
  const context = createContext({ TextDecoder, encoder: new TextEncoder() });
  // A platform's encoder makes bytes of its own realm; this one's host lives in another.
  new Script(`{
    const { encoder } = globalThis;
    delete globalThis.encoder;
    globalThis.TextEncoder = class {
      encode(text) { return Uint8Array.from(encoder.encode(text)); }
    };
  }`).runInContext(context);
  return context;
}

describe('the three inner layers', () => {
  it('carry a message from one device to another where nothing but the language exists', async () => {
    const context = bareContext();
    const engine = await loadEngine(nodeRandomness);
    const plain = new Script('(bytes) => Uint8Array.from(bytes)').runInContext(context) as Plain;
    const wrap = membrane(plain);
    const scenario = script.runInContext(context) as (platform: unknown) => Promise<unknown>;
    const platform = {
      engine: wrap(engine),
      aead: wrap(nodePrimitives.aead),
      cipher: wrap(nodePrimitives.cipher),
      randomness: wrap(nodeRandomness),
    };
    await expect(scenario(platform)).resolves.toBe('from the laptop to the phone');
  });

  it('run in a context that really is bare', () => {
    const names = new Script('Object.getOwnPropertyNames(globalThis)').runInContext(
      bareContext(),
    ) as string[];
    for (const name of ['process', 'Buffer', 'setTimeout', 'crypto', 'window', 'fetch', 'structuredClone']) {
      expect(names).not.toContain(name);
    }
  });
});
