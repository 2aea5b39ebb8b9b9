/**
 * Eight devices over a real broker. One of them sends a thousand messages to all of the others through its local
 * socket, one request behind the other, and one of the others is revoked there in the middle.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRpcClient, type RpcClient } from '../../src/adapters/rpc/client.ts';
import { isObject, type Json } from '../../src/adapters/rpc/protocol.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';
import { openKeystore } from '../../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { readKeyFile } from '../../src/drivers/node/unlock.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { groupContext } from '../../src/entities/group-session.ts';
import { EVERYBODY } from '../../src/entities/roster/circle.ts';
import { decodeEnvelope } from '../../src/entities/wire/envelope.ts';
import { decodeGroupText } from '../../src/entities/wire/group-text.ts';
import { loadDevice } from '../../src/usecases/device/load-device.ts';
import { loadMesh } from '../../src/usecases/membership/load-mesh.ts';
import type { InboundGroupSession } from '../../src/usecases/ports/engine.ts';
import { eventually, realRandomness } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type MeshProcess, mesh, up } from './mesh-process.ts';

const NAMES = ['laptop', 'phone', 'pi', 'tablet', 'desk', 'boat', 'shed', 'attic'];
const MESSAGES = 1000;
/** When so many are accepted, one device is revoked. */
const REVOKED_AFTER = 500;
/** The last of them are not asked for before that has happened. */
const HELD_BACK = 300;
const MINUTE = 60_000;

/** What the local API says of a message that was accepted. */
interface Accepted {
  readonly id: string;
  readonly to: readonly { readonly deviceId: string }[];
}

function acceptedIn(answer: Json): Accepted {
  if (!isObject(answer) || !Array.isArray(answer.to)) throw new Error('nothing was accepted');
  const to = answer.to.filter(isObject).map(({ deviceId }) => ({ deviceId: String(deviceId) }));
  return { id: String(answer.id), to };
}

describe.skipIf(!hasMosquitto)('eight devices', () => {
  let base: string;
  let broker: Mosquitto;
  let onlooker: mqtt.MqttClient;
  const captured: Uint8Array[] = [];
  let devices: readonly MeshDevice[] = [];
  const daemons: MeshProcess[] = [];
  const clients: RpcClient[] = [];

  beforeAll(async () => {
    await compile();
    base = await temporaryDirectory();
    broker = await startMosquitto();
    onlooker = await mqtt.connectAsync(broker.url);
    onlooker.on('message', (_, bytes) => captured.push(Uint8Array.from(bytes)));
    await onlooker.subscribeAsync('#', { qos: 1 });
    devices = await makeMesh({ count: NAMES.length, dir: base, brokerUrl: broker.url, names: NAMES });
    for (const device of devices) daemons.push(await up(device));
  }, 2 * MINUTE);

  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
    await onlooker?.endAsync(true);
    await broker?.stop();
    await rm(base, { recursive: true, force: true });
  });

  async function clientOf({ home }: MeshDevice): Promise<RpcClient> {
    const channel = await connectSocket(home);
    if (channel === undefined) throw new Error('no daemon answers');
    const client = createRpcClient(channel);
    clients.push(client);
    return client;
  }

  it('get a thousand messages each, but for the one that is revoked', { timeout: 4 * MINUTE }, async () => {
    const [laptop, phone, ...others] = devices;
    if (laptop === undefined || phone === undefined) throw new Error('eight were made');
    const [scripts, person] = [await clientOf(laptop), await clientOf(laptop)];
    const toAll = { target: 'all', wait: 'delivered', timeout: 2 * MINUTE };
    expect(await scripts.call('send', { ...toAll, text: 'hello' })).toMatchObject({ standing: 'reached' });

    const words = Array.from({ length: MESSAGES }, (_, i) => `message ${i + 1}`);
    const accepted: Accepted[] = [];
    let revoking: Promise<unknown> | undefined;
    const send = async (text: string): Promise<void> => {
      accepted.push(acceptedIn(await scripts.call('send', { target: 'all', text })));
      if (accepted.length === REVOKED_AFTER) {
        revoking = person.call('revoke', { device: phone.deviceId, reason: 'lost' });
      }
    };
    const firstLot = words.slice(0, -HELD_BACK).map(send);
    await eventually(() => revoking !== undefined, 'half of them are accepted', MINUTE);
    await revoking;
    await Promise.all([...firstLot, ...words.slice(-HELD_BACK).map(send)]);
    expect(await scripts.call('send', { ...toAll, text: 'last' })).toMatchObject({ standing: 'reached' });

    const forPhone = accepted.filter(({ to }) => to.some(({ deviceId }) => deviceId === phone.deviceId));
    const before = accepted.slice(0, forPhone.length);
    const after = accepted.slice(forPhone.length);
    expect(before).toEqual(forPhone);
    expect(before.length).toBeGreaterThanOrEqual(REVOKED_AFTER);
    expect(after.length).toBeGreaterThanOrEqual(HELD_BACK);

    const everything = ['hello', ...words, 'last'];
    await Promise.all(
      others.map(async (one) => {
        const heard = await textsAt(one, everything.length);
        expect(heard, one.name).toEqual(everything);
      }),
    );
    // It was told, and has ended by itself.
    const ended = await existing(daemons[1]).ended();
    expect(ended.status, ended.stderr).toBe(7);
    const atPhone = await storeOf(phone);
    await existing(daemons[2]).stop();
    const atPi = await storeOf(existing(others[0]));
    const idsBefore = before.map(({ id }) => id);
    // Behind the greeting, and without a gap.
    expect(atPhone.inbox.slice(1)).toEqual(idsBefore.slice(0, atPhone.inbox.length - 1));
    expect(atPhone.inbox.length).toBeGreaterThan(1);
    // All of them passed, so what the phone cannot read is not something that was never there.
    for (const { id } of accepted) expect(atPi.readable).toContain(id);
    expect(idsBefore.filter((id) => atPhone.readable.has(id)).length).toBeGreaterThan(REVOKED_AFTER / 2);
    const idsAfter = after.map(({ id }) => id);
    expect(idsAfter.filter((id) => atPhone.readable.has(id))).toEqual([]);
  });

  async function textsAt(device: MeshDevice, count: number): Promise<readonly unknown[]> {
    const limits = ['--count', String(count), '--timeout', '5s'];
    const heard = await mesh(['listen', ...limits, ...as(device)]);
    return heard.events.filter(({ event }) => event === 'message').map(({ text }) => text);
  }

  /** What a device has received, and what it could: the ids of all that the group keys in its store decrypt. */
  async function storeOf(
    device: MeshDevice,
  ): Promise<{ readonly inbox: readonly string[]; readonly readable: ReadonlySet<string> }> {
    const engine = await loadEngine(realRandomness);
    const copy = join(base, `the store of ${device.name}`);
    await cp(device.home, copy, { recursive: true, filter: (path) => !path.endsWith('socket') });
    const { keystore } = await openKeystore(copy, await readKeyFile(device.keyFile), { verifyAtOpen: [] });
    const sessions: InboundGroupSession[] = [];
    try {
      const { account, pickleKey } = await loadDevice({ engine, hash: nodePrimitives.hash }, keystore);
      account.dispose();
      const { mesh: meshId } = await loadMesh(nodePrimitives.hash, keystore);
      for (const key of keystore.keys('group-key')) {
        const record = await keystore.read('group-key', key);
        if (record !== undefined) sessions.push(engine.restoreInboundGroupSession(record.pickle, pickleKey));
      }
      const context = groupContext(nodePrimitives.hash, meshId, existing(devices[0]).deviceId, EVERYBODY);
      const inbox: string[] = [];
      const arrivals = [...keystore.keys('inbox')];
      arrivals.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
      for (const key of arrivals) {
        const record = await keystore.read('inbox', key);
        inbox.push(...(record?.messages ?? []).map(({ id }) => toHex(id)));
      }
      const readable = new Set<string>();
      for (const ciphertext of ciphertexts()) {
        for (const session of sessions) {
          const read = session.decrypt(ciphertext);
          if ('refused' in read) continue;
          const text = decodeGroupText(read.ok.plaintext, context);
          if ('refused' in text) throw new Error(`a text that is refused as ${text.refused}`);
          readable.add(toHex(text.ok.id));
        }
      }
      return { inbox, readable };
    } finally {
      for (const session of sessions) session.dispose();
      await keystore.close();
      await rm(copy, { recursive: true, force: true });
    }
  }

  /** All that stood beside a parcel, each once. */
  function ciphertexts(): Iterable<Uint8Array> {
    const found = new Map<string, Uint8Array>();
    for (const bytes of captured) {
      const decoded = decodeEnvelope(bytes);
      if ('refused' in decoded) throw new Error(`a packet that is refused as ${decoded.refused}`);
      const { envelope } = decoded.ok;
      if (envelope.kind !== 'sealed' && envelope.kind !== 'initial') continue;
      for (const attached of envelope.attached) {
        found.set(toHex(nodePrimitives.hash(attached)), attached);
      }
    }
    return found.values();
  }
});

function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there should be one');
  return value;
}
