import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { loadBindings, loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { type Bindings, startBindings } from '../../../src/drivers/vodozemac/loader.ts';
import { existing, pickleKey } from '../../contracts/engine-cast.ts';
import { realRandomness, seededRandomness } from '../../randomness.ts';

const script = createRequire(import.meta.url).resolve('vodozemac-wasm-bindings');
const wasm = readFileSync(script.replace('vodozemac.js', 'vodozemac_bg.wasm'));

let fresh = 0;
const freshBindings = (): Promise<Bindings> => import(`${pathToFileURL(script).href}?loader-test=${fresh++}`);

type Descriptors = Readonly<Record<PropertyKey, PropertyDescriptor>>;

const globals = (): Descriptors => Object.getOwnPropertyDescriptors(globalThis);
const original = new Set(Reflect.ownKeys(globals()));

afterEach(() => {
  for (const name of Reflect.ownKeys(globals())) {
    if (!original.has(name)) Reflect.deleteProperty(globalThis, name);
  }
});

function put(name: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(globalThis, name, { configurable: true, ...descriptor });
}

/** A page as a browser has it: `window`, `self` and `globalThis.Window` are there, and it counts what happens to it. */
function putPage(): { readonly touched: string[] } {
  const touched: string[] = [];
  class Window {
    get document(): unknown {
      touched.push('document');
      return {
        createElement: (name: string) => ({ name }),
        body: { appendChild: () => touched.push('paragraph') },
      };
    }
    get crypto(): unknown {
      touched.push('crypto');
      return { getRandomValues: () => touched.push('random numbers') };
    }
  }
  const window = new Window();
  put('window', { get: () => window, enumerable: true });
  put('self', { get: () => window, set: () => touched.push('self'), enumerable: true });
  put('Window', { value: Window, writable: true, enumerable: false });
  return { touched };
}

describe('the loader', () => {
  it('leaves the globals of a platform without a page as they were', async () => {
    const before = globals();
    const bindings = await freshBindings();
    startBindings(bindings, wasm, realRandomness);
    expect(new bindings.Account().curve25519_key).toMatch(/^[\w+/]{43}$/);
    expect(globals()).toEqual(before);
    for (const name of ['window', 'Window', 'self', 'document']) expect(globalThis).not.toHaveProperty(name);
  });

  it('leaves a page untouched, and puts its globals back with the same descriptors', async () => {
    const { touched } = putPage();
    const before = globals();
    const bindings = await freshBindings();
    startBindings(bindings, wasm, realRandomness);
    new bindings.Account();
    expect(touched).toEqual([]);
    expect(globals()).toEqual(before);
  });

  it('works beside a window that is no page at all', async () => {
    put('window', { value: {}, writable: false, enumerable: true });
    const bindings = await freshBindings();
    startBindings(bindings, wasm, realRandomness);
    expect(globalThis).toHaveProperty('window', {});
  });

  it('works beside a window that cannot be redefined, as in every browser', async () => {
    const bindings = await freshBindings();
    const { touched } = putPage();
    const define = Object.defineProperty;
    Object.defineProperty = (target: never, name: PropertyKey, descriptor: PropertyDescriptor) => {
      if (name === 'window') throw new TypeError('Cannot redefine property: window');
      return define(target, name, descriptor);
    };
    try {
      startBindings(bindings, wasm, realRandomness);
    } finally {
      Object.defineProperty = define;
    }
    expect(touched).toEqual([]);
  });

  it('puts everything back where the start fails, and says so', async () => {
    putPage();
    const before = globals();
    const notLoadable = expect.objectContaining({ code: 'engine-not-loadable' });
    const bindings = await freshBindings();
    expect(() => startBindings(bindings, new Uint8Array(8), realRandomness)).toThrow(notLoadable);
    const withoutRandomness = await freshBindings();
    const broken = () => {
      throw new Error('no entropy');
    };
    expect(() => startBindings(withoutRandomness, wasm, broken)).toThrow(notLoadable);
    expect(globals()).toEqual(before);
  });

  it('refuses bindings that have their randomness from somebody else', async () => {
    const bindings = await freshBindings();
    startBindings(bindings, wasm, realRandomness);
    expect(() => startBindings(bindings, wasm, seededRandomness('mine'))).toThrow(
      expect.objectContaining({ code: 'engine-not-loadable' }),
    );
  });
});

describe('the randomness of an engine', () => {
  const story = async (seed: string): Promise<readonly string[]> => {
    const engine = await loadEngine(seededRandomness(seed));
    const laptop = engine.createAccount();
    const phone = engine.createAccount();
    const oneTimeKeys = phone.createOneTimeKeys(3);
    const oneTimeKey = existing(oneTimeKeys[0]);
    const session = laptop.startSession(phone.keys.agreement, oneTimeKey);
    const group = engine.createGroupSession();
    const pickled = [laptop, phone, session, group].map((handle) => handle.pickle(pickleKey()));
    return [
      ...pickled,
      String(session.encrypt(new Uint8Array(3)).body),
      String(group.encrypt(new Uint8Array(3))),
    ];
  };

  it('makes the same keys and messages of the same seed, and others of another', async () => {
    const once = await story('seed 1');
    expect(await story('seed 1')).toEqual(once);
    const other = await story('seed 2');
    for (const [i, text] of other.entries()) expect(text).not.toBe(once[i]);
  });

  it('is the given one for good: it is asked again after 64 KiB, when the page has another', async () => {
    let asked = 0;
    const seeded = seededRandomness('counted');
    const bindings = await loadBindings((length) => {
      asked++;
      return seeded(length);
    });
    const { touched } = putPage();
    const atStart = asked;
    new bindings.Account().generate_one_time_keys(2100);
    expect(asked).toBeGreaterThan(atStart);
    expect(touched).toEqual([]);
  });

  it('is separate for each engine', async () => {
    const first = await loadEngine(seededRandomness('same'));
    const expected = first.createAccount().keys;
    const second = await loadEngine(seededRandomness('same'));
    await loadEngine(seededRandomness('another'));
    expect(second.createAccount().keys).toEqual(expected);
  });
});
