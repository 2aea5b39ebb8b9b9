import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
import { createDevice } from '../../../src/usecases/device/create-device.ts';
import { loadDevice } from '../../../src/usecases/device/load-device.ts';
import { loadMesh } from '../../../src/usecases/membership/load-mesh.ts';
import type { Engine } from '../../../src/usecases/ports/engine.ts';
import type { Change, Keystore } from '../../../src/usecases/ports/keystore.ts';
import { CLIENT_ID } from '../../../src/usecases/settings.ts';
import { realRandomness } from '../../randomness.ts';
import { codeOf, HandClock, memoryStore } from '../../support/keystore.ts';

const { hash } = nodePrimitives;
let engine: Engine;
let keystore: Keystore;
let commits: (readonly Change[])[];

beforeAll(async () => {
  engine = await loadEngine(realRandomness);
});
beforeEach(async () => {
  const store = await createSealedKeystore(memoryStore().parts());
  commits = [];
  keystore = {
    read: (kind, key) => store.read(kind, key),
    keys: (kind) => store.keys(kind),
    position: () => store.position(),
    close: () => store.close(),
    commit(changes) {
      commits.push(changes);
      return store.commit(changes);
    },
  };
});

const create = (name: string, settings?: ReadonlyMap<'broker', string>) =>
  createDevice({ engine, hash, clock: new HandClock(), randomness: realRandomness })(
    keystore,
    name,
    settings,
  );

describe("Alice's laptop", () => {
  it('is made in one commit and comes back as it was made', async () => {
    const made = await create("Alice's laptop");
    expect(commits).toHaveLength(1);
    const device = await loadDevice({ engine, hash }, keystore);
    expect(made).toEqual({ ok: { id: device.self.id, name: "Alice's laptop" } });
    expect(deriveDeviceId(hash, device.account.keys)).toBe(device.self.id);
    device.account.dispose();
  });

  it('is the only member of a mesh of its own', async () => {
    const made = await create("Alice's laptop");
    if ('refused' in made) throw new Error(made.refused);
    const membership = await loadMesh(hash, keystore);
    expect([...membership.roster.members]).toEqual([made.ok.id]);
    expect(membership.roster.devices.get(made.ok.id)?.name).toBe("Alice's laptop");
    expect(membership.roster.heads).toHaveLength(1);
    expect(membership.mesh).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has a client id of its own, which is not its device id, and the settings it was given', async () => {
    const made = await create("Alice's laptop", new Map([['broker', 'mqtt://localhost:1883']]));
    const id = await keystore.read('setting', CLIENT_ID);
    expect(id).toMatch(/^[0-9a-f]{22}$/);
    expect(JSON.stringify(made)).not.toContain(id);
    expect(await keystore.read('setting', 'broker')).toBe('mqtt://localhost:1883');
  });

  it('and another one of the same name are different devices in different meshes', async () => {
    const first = await create('the Pi');
    const firstMesh = (await loadMesh(hash, keystore)).mesh;
    keystore = await createSealedKeystore(memoryStore().parts());
    const second = await create('the Pi');
    expect(first).not.toEqual(second);
    expect((await loadMesh(hash, keystore)).mesh).not.toBe(firstMesh);
  });
});

it.each([
  ['', 'name-empty'],
  ['x'.repeat(65), 'name-too-long'],
  [' x', 'name-unprintable'],
])('the name %j is refused and nothing is written', async (name, refused) => {
  expect(await create(name)).toEqual({ refused });
  expect(commits).toEqual([]);
});

describe('a store', () => {
  it('without a device is unfinished, and has no mesh', async () => {
    expect(await codeOf(loadDevice({ engine, hash }, keystore))).toBe('store-unfinished');
    expect(await codeOf(loadMesh(hash, keystore))).toBe('store-damaged');
  });

  it('with an entry under another name is damaged', async () => {
    await create("Alice's laptop");
    const [key = ''] = keystore.keys('entry');
    const bytes = await keystore.read('entry', key);
    if (bytes === undefined) throw new Error('no entry');
    await keystore.commit([
      { kind: 'entry', key, remove: true },
      { kind: 'entry', key: 'f'.repeat(64), put: bytes },
    ]);
    expect(await codeOf(loadMesh(hash, keystore))).toBe('store-damaged');
  });

  it('with the entries of two meshes is damaged', async () => {
    await create("Alice's laptop");
    await create('the Pi');
    expect(await codeOf(loadMesh(hash, keystore))).toBe('store-damaged');
  });
});
