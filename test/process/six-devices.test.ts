/**
 * Six devices over a real broker, joined one after the other through different inviters, with somebody away each
 * time; and one of them removed while two are away.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKeystore } from '../../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { readKeyFile } from '../../src/drivers/node/unlock.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { decodeEnvelope } from '../../src/entities/wire/envelope.ts';
import { loadDevice } from '../../src/usecases/device/load-device.ts';
import { loadMesh } from '../../src/usecases/membership/load-mesh.ts';
import { eventually, realRandomness } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import type { MeshDevice } from './make-mesh.ts';
import { as, compile, type Event, MeshProcess, mesh, up } from './mesh-process.ts';

const NAMES = ['laptop', 'phone', 'pi', 'tablet', 'desk', 'boat'];
const MINUTE = 60_000;

interface Captured {
  readonly topic: string;
  readonly bytes: Uint8Array;
}

describe.skipIf(!hasMosquitto)('six devices', () => {
  let base: string;
  let broker: Mosquitto;
  let onlooker: mqtt.MqttClient;
  const captured: Captured[] = [];
  const devices: MeshDevice[] = [];
  const daemons = new Map<string, MeshProcess>();

  beforeAll(async () => {
    await compile();
    base = await temporaryDirectory();
    broker = await startMosquitto();
    onlooker = await mqtt.connectAsync(broker.url);
    onlooker.on('message', (topic, bytes) => captured.push({ topic, bytes: Uint8Array.from(bytes) }));
    await onlooker.subscribeAsync('#', { qos: 1 });
  }, 2 * MINUTE);

  afterAll(async () => {
    await Promise.all([...daemons.values()].map((daemon) => daemon.stop('SIGKILL')));
    await onlooker?.endAsync(true);
    await broker?.stop();
    await rm(base, { recursive: true, force: true });
  });

  const device = (index: number): MeshDevice => {
    const found = devices[index];
    if (found === undefined) throw new Error(`there is no device ${index}`);
    return found;
  };

  async function start(one: MeshDevice): Promise<void> {
    daemons.set(one.name, await up(one));
  }

  async function stop(one: MeshDevice): Promise<void> {
    await daemons.get(one.name)?.stop();
    daemons.delete(one.name);
  }

  async function join_(name: string, inviter: MeshDevice): Promise<MeshDevice> {
    const home = join(base, name);
    const keyFile = `${home}.key`;
    const invite = new MeshProcess(['invite', ...as(inviter)]);
    const { link } = await invite.saw('invite');
    const options = ['--json', '--home', home, '--key-file', keyFile, '--name', name, '--yes'];
    const joining = new MeshProcess(['join', '-', ...options], { input: `${String(link)}\n` });
    const { code } = await joining.saw('code');
    await invite.saw('claimed');
    const approved = await mesh(['approve', '--code', String(code), ...as(inviter)]);
    expect(approved.status, approved.stdout + approved.stderr).toBe(0);
    const joined = await joining.ended();
    expect(joined.status, joined.stdout + joined.stderr).toBe(0);
    expect((await invite.ended()).status).toBe(0);
    const { deviceId } = joined.events.at(-1) ?? {};
    return { home, keyFile, name, deviceId: String(deviceId) as MeshDevice['deviceId'] };
  }

  const membersAt = async (one: MeshDevice): Promise<number> => {
    const listed = await mesh(['devices', ...as(one)]);
    return listed.events.filter(({ status }) => status === 'member').length;
  };

  it('become one mesh, whoever is away when somebody joins', { timeout: 4 * MINUTE }, async () => {
    const home = join(base, 'laptop');
    const first = { home, keyFile: `${home}.key`, name: 'laptop' };
    const made = await mesh(['init', '--name', 'laptop', '--broker', broker.url, ...as(first)]);
    expect(made.status).toBe(0);
    devices.push({ ...first, deviceId: String(made.events[0]?.deviceId) as MeshDevice['deviceId'] });
    await start(device(0));
    for (const [index, name] of NAMES.entries()) {
      if (index === 0) continue;
      const away = index >= 2 ? device(index - 2) : undefined;
      if (away !== undefined) await stop(away);
      const newcomer = await join_(name, device(index - 1));
      devices.push(newcomer);
      await start(newcomer);
      if (away !== undefined) await start(away);
    }
    for (const one of devices) {
      await eventually(async () => (await membersAt(one)) === NAMES.length, `${one.name} knows all`, 30_000);
    }
    for (const from of devices) {
      const options = ['--wait', 'delivered', '--timeout', '60s', ...as(from)];
      const sent = await mesh(['send', 'all', `from ${from.name}`, ...options]);
      expect(sent.status, sent.stdout + sent.stderr).toBe(0);
      const to = sent.events[0]?.to as readonly Event[];
      expect(to.map(({ state }) => state)).toEqual(NAMES.slice(1).map(() => 'delivered'));
    }
    for (const one of devices) {
      const heard = await mesh(['listen', '--count', '5', '--timeout', '20s', ...as(one)]);
      const others = NAMES.filter((name) => name !== one.name).map((name) => `from ${name}`);
      expect(heard.events.map(({ text }) => text).sort()).toEqual(others.sort());
    }
  });

  it('remove one of them, and it reads and says nothing any more', { timeout: 4 * MINUTE }, async () => {
    const [laptop, phone, pi, tablet, desk, boat] = [0, 1, 2, 3, 4, 5].map(device);
    if (!laptop || !phone || !pi || !tablet || !desk || !boat) throw new Error('six were made');
    await stop(phone);
    // As its disk was before it could know anything.
    const stolen = { ...phone, home: join(base, 'stolen') };
    await cp(phone.home, stolen.home, { recursive: true, preserveTimestamps: true });
    const before = captured.length;
    // What is said to it while it is still a member is what shows that its store can read at all.
    const control = await mesh([
      'send',
      'phone',
      'while it is one of us',
      '--wait',
      'published',
      ...as(laptop),
    ]);
    expect(control.status).toBe(0);
    await eventually(() => captured.length > before, 'the packet passes');
    await stop(desk);
    await stop(boat);
    const between = captured.length;
    const revoked = await mesh(['revoke', 'phone', '--reason', 'lost', '--yes', ...as(laptop)]);
    expect(revoked.status, revoked.stdout + revoked.stderr).toBe(0);
    const after = captured.length;
    await eventually(async () => (await membersAt(tablet)) === 5, 'the tablet has applied it', 30_000);
    await mesh(['send', 'all', 'not for the phone', ...as(laptop)]);
    await mesh(['send', 'all', 'nor this', ...as(tablet)]);

    // The copy comes up before the two that were away, and talks to them.
    await start(desk);
    await start(boat);
    await eventually(async () => (await membersAt(boat)) === 5, 'the boat has applied it', 30_000);
    await eventually(async () => (await membersAt(desk)) === 5, 'the desk has applied it', 30_000);
    const told = new MeshProcess(['up', ...as(stolen)]);
    daemons.set('stolen', told);
    await told.saw('ready');
    await mesh(['send', 'all', 'from a stolen phone', '--timeout', '2s', ...as(stolen)]);
    const ended = await told.ended();
    expect(ended.status, ended.stderr).toBe(7);
    expect(ended.events.at(-1)).toMatchObject({ event: 'error', code: 'device-revoked' });
    for (const one of [laptop, pi, tablet, desk, boat]) {
      await mesh(['send', one === laptop ? 'pi' : 'laptop', 'last', '--wait', 'delivered', ...as(one)]);
      const heard = await mesh(['listen', '--timeout', '1s', ...as(one)]);
      expect(heard.events.map(({ text }) => text)).not.toContain('from a stolen phone');
    }
    expect(await readable(phone, captured.slice(before, between))).toBeGreaterThan(0);
    expect(await readable(phone, captured.slice(after))).toBe(0);
    expect(captured.length - after).toBeGreaterThan(20);
  });

  /** How many of these packets the store of a device can decrypt, whoever they are for. */
  async function readable(one: MeshDevice, packets: readonly Captured[]): Promise<number> {
    const engine = await loadEngine(realRandomness);
    const copy = join(base, 'opened');
    await cp(one.home, copy, { recursive: true });
    const { keystore } = await openKeystore(copy, await readKeyFile(one.keyFile), { verifyAtOpen: [] });
    try {
      const { account, pickleKey } = await loadDevice({ engine, hash: nodePrimitives.hash }, keystore);
      const { roster } = await loadMesh(nodePrimitives.hash, keystore);
      const others = [...roster.devices.values()].filter(({ id }) => id !== one.deviceId);
      let count = 0;
      for (const { bytes } of packets) {
        const decoded = decodeEnvelope(bytes);
        if ('refused' in decoded) throw new Error(`a packet that is refused as ${decoded.refused}`);
        const { envelope } = decoded.ok;
        if (envelope.kind !== 'sealed' && envelope.kind !== 'initial') continue;
        const type = envelope.kind === 'initial' ? 0 : 1;
        let read = false;
        for (const key of keystore.keys('ratchet')) {
          const pickle = await keystore.read('ratchet', key);
          if (pickle === undefined) continue;
          const session = engine.restoreSession(pickle, pickleKey);
          read ||= 'ok' in session.decrypt({ type, body: envelope.body });
          session.dispose();
        }
        if (type === 0) {
          // With any key of its own that is left.
          for (const { keys } of others) {
            const accepted = account.acceptSession(keys.agreement, envelope.body);
            if ('refused' in accepted) continue;
            read = true;
            accepted.ok.session.dispose();
          }
        }
        if (read) count += 1;
      }
      account.dispose();
      return count;
    } finally {
      await keystore.close();
      await rm(copy, { recursive: true, force: true });
    }
  }
});
