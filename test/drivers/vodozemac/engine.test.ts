import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeBase64 } from '../../../src/drivers/node/base64.ts';
import { createEngine, portableBase64 } from '../../../src/drivers/vodozemac/engine.ts';
import { loadBindings, loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import type { Bindings } from '../../../src/drivers/vodozemac/loader.ts';
import type { Engine } from '../../../src/usecases/ports/engine.ts';
import { engineContract } from '../../contracts/engine.ts';
import { converse, existing, granted, introduce, pickleKey } from '../../contracts/engine-cast.ts';
import { everyHandle } from '../../contracts/engine-handle.ts';
import { realRandomness, seededRandomness } from '../../randomness.ts';

engineContract('vodozemac on Node', () => loadEngine(realRandomness));
engineContract('vodozemac with portable base64', async () =>
  createEngine(await loadBindings(realRandomness), portableBase64),
);

describe('the two forms of base64', () => {
  it('are the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = nodeBase64.encode(bytes);
        expect(text).toBe(portableBase64.encode(bytes));
        expect(nodeBase64.decode(text)).toEqual(bytes);
        expect(portableBase64.decode(text)).toEqual(bytes);
      }),
    );
  });

  it('decode into memory of their own', () => {
    for (const { decode } of [nodeBase64, portableBase64]) expect(decode('AAAA').buffer.byteLength).toBe(3);
  });
});

describe('one-time keys', () => {
  it('come in the order of their making, which is the order in which an account forgets them', async () => {
    const raw = new (await loadBindings(seededRandomness('order'))).Account();
    raw.generate_one_time_keys(20);
    const byId: ReadonlyMap<string, string> = raw.one_time_keys;
    const inOrder = Array.from(byId.keys(), (id) => nodeBase64.decode(id)[7] ?? 0).sort((a, b) => a - b);
    const expected = inOrder.map((n) => byId.get(nodeBase64.encode(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, n))));
    const phone = (await loadEngine(seededRandomness('order'))).createAccount();
    expect(phone.createOneTimeKeys(20).map(nodeBase64.encode)).toEqual(expected);
  });
});

/** Claims a size that the engine's allocator can only answer with a trap. */
function endless(): Uint8Array {
  return Object.defineProperty(new Uint8Array(0), 'length', { value: 2 ** 31 });
}

describe('an engine that traps', () => {
  const trap = expect.objectContaining({ code: 'engine-trap' });

  it('says so then and on every later call of everything it made', async () => {
    const engine = await loadEngine(realRandomness);
    const { laptop, laptopSession } = converse(engine);
    const handles = everyHandle(engine);
    const pickle = laptop.pickle(pickleKey());
    const shared = engine.createGroupSession().shareKey();
    expect(() => laptopSession.encrypt(endless())).toThrow(trap);
    for (const [kind, { calls }] of Object.entries(handles)) {
      for (const [name, call] of Object.entries(calls)) expect(call, `${kind}.${name}`).toThrow(trap);
    }
    const statement = { label: 'test', digest: new Uint8Array(32) };
    const ofTheEngine: Record<keyof Engine, () => unknown> = {
      createAccount: () => engine.createAccount(),
      restoreAccount: () => engine.restoreAccount(pickle, pickleKey()),
      restoreSession: () => engine.restoreSession(pickle, pickleKey()),
      verify: () => engine.verify(laptop.keys.signing, statement, new Uint8Array(64)),
      createGroupSession: () => engine.createGroupSession(),
      restoreOutboundGroupSession: () => engine.restoreOutboundGroupSession(pickle, pickleKey()),
      acceptGroupSession: () => engine.acceptGroupSession(shared),
      importGroupSession: () => engine.importGroupSession(shared),
      restoreInboundGroupSession: () => engine.restoreInboundGroupSession(pickle, pickleKey()),
    };
    for (const [name, call] of Object.entries(ofTheEngine)) expect(call, name).toThrow(trap);
  });

  it('lets go of its handles without a word, for whoever cleans up', async () => {
    const engine = await loadEngine(realRandomness);
    const handles = everyHandle(engine);
    expect(() => engine.createGroupSession().encrypt(endless())).toThrow(trap);
    for (const { handle } of Object.values(handles)) expect(() => handle.dispose()).not.toThrow();
  });

  it('does not take another engine along', async () => {
    const broken = await loadEngine(realRandomness);
    const sound = await loadEngine(realRandomness);
    expect(() => broken.createGroupSession().encrypt(endless())).toThrow(trap);
    expect(sound.createAccount().keys).toBeDefined();
  });
});

describe("the engine's memory", () => {
  let bindings: Bindings;
  let engine: Engine;
  beforeAll(async () => {
    bindings = await loadBindings(realRandomness);
    engine = createEngine(bindings, nodeBase64);
  });

  /** Once started, the package answers a second start with what it exports. */
  const size = (): number => bindings.initSync({ module: new Uint8Array(0) }).memory.buffer.byteLength;

  function growth(rounds: number, round: () => void): number {
    for (let i = 0; i < 5; i++) round();
    const before = size();
    for (let i = 0; i < rounds; i++) round();
    return size() - before;
  }

  const payload = new Uint8Array(20_000);

  it('does not grow with sessions that come and go', () => {
    const round = (): void => {
      const { laptop, phone, laptopSession, phoneSession, first } = converse(engine);
      phone.acceptSession(laptop.keys.agreement, first.body);
      for (const handle of [laptop, phone, laptopSession, phoneSession]) handle.dispose();
    };
    expect(growth(400, round)).toBe(0);
  });

  it('does not grow with messages, refused ones included', () => {
    const { laptopSession, phoneSession } = converse(engine);
    const outbound = engine.createGroupSession();
    const inbound = granted(engine.acceptGroupSession(outbound.shareKey()));
    const round = (): void => {
      const message = laptopSession.encrypt(payload);
      granted(phoneSession.decrypt(message));
      phoneSession.decrypt(message);
      granted(inbound.decrypt(outbound.encrypt(payload)));
    };
    expect(growth(100, round)).toBe(0);
  });

  it('does not grow with first messages', () => {
    const { laptop, phone } = introduce(engine);
    const round = (): void => {
      const outgoing = laptop.startSession(phone.keys.agreement, existing(phone.createOneTimeKeys(1)[0]));
      const { body } = outgoing.encrypt(payload);
      outgoing.dispose();
      granted(phone.acceptSession(laptop.keys.agreement, body)).session.dispose();
    };
    expect(growth(100, round)).toBe(0);
  });

  it('does not grow with keys that are burnt and things that are restored', () => {
    const { laptop, phone } = introduce(engine);
    const round = (): void => {
      for (const key of phone.createOneTimeKeys(1)) expect(phone.burnOneTimeKey(key)).toBe(true);
      engine.restoreAccount(laptop.pickle(pickleKey()), pickleKey()).dispose();
    };
    expect(growth(600, round)).toBe(0);
  });
});
