/** scratch */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryBroker } from '../src/adapters/memory/memory-transport.ts';
import { openKeystore } from '../src/drivers/node/open-keystore.ts';
import { nodePrimitives } from '../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { readKeyFile } from '../src/drivers/node/unlock.ts';
import { loadEngine } from '../src/drivers/vodozemac/load-node.ts';
import { MESSAGES_BEFORE_ROTATION } from '../src/entities/group-session.ts';
import { EVERYBODY } from '../src/entities/roster/circle.ts';
import { loadDevice } from '../src/usecases/device/load-device.ts';
import { loadMesh } from '../src/usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../src/usecases/messaging/messenger.ts';
import type { Engine, Session } from '../src/usecases/ports/engine.ts';
import { eventually, realClock } from '../test/brokers/loopback.ts';
import { makeMesh, type MeshDevice } from '../test/process/make-mesh.ts';
import { inTurn, type Row } from './rows.ts';
import { Stopwatch } from './stopwatch.ts';

const SIZES = { '100 B': 100, '1 KiB': 1024 } as const;
const RECIPIENTS = (process.env.RECIP ?? '1,2,5,7,10').split(',').map(Number);
const BURST = Number(process.env.BURST ?? 1000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);

interface Running { messenger: Messenger; watch: Stopwatch | undefined; close(): Promise<void> }

async function run(engine: Engine, broker: MemoryBroker, device: MeshDevice, watch: Stopwatch | undefined): Promise<Running> {
  const { keystore } = await openKeystore(device.home, await readKeyFile(device.keyFile), { verifyAtOpen: [] });
  const { hash, mac, cipher } = nodePrimitives;
  const ports = watch === undefined ? { engine, hash, mac, cipher } : {
    engine: watch.engine(engine),
    hash: watch.call('hash', hash),
    mac: watch.call('mac', mac),
    cipher: { seal: watch.call('cipher.seal', cipher.seal), open: watch.call('cipher.open', cipher.open) },
  };
  const loaded = await loadDevice(ports, keystore);
  const messenger = await createMessenger({
    ...ports, ...loaded, clock: realClock, randomness: nodeRandomness, keystore,
    transport: broker.transport(loaded.self.id),
    membership: await loadMesh(hash, keystore),
    fatal: (e) => { console.error(e); process.exit(1); },
  });
  messenger.open();
  return { messenger, watch, async close() { await messenger.close(); await keystore.close(); loaded.account.dispose(); } };
}

export async function groupRows(): Promise<Row[]> {
  const engine = await loadEngine(nodeRandomness);
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const running: Running[] = [];
  const rows: Row[] = [];
  try {
    const senders = new Map<number, Running>();
    for (const count of RECIPIENTS) {
      const broker = new MemoryBroker({ clock: realClock });
      const devices = await makeMesh({ count: count + 1, dir: join(dir, String(count)) });
      for (const [i, device] of devices.entries()) {
        const one = await run(engine, broker, device, i === 0 ? new Stopwatch() : undefined);
        running.push(one);
        if (i === 0) senders.set(count, one);
      }
    }
    const burst = async (one: Running, size: number): Promise<number> => {
      one.watch?.reset();
      const payload = nodeRandomness(size);
      await Promise.all(Array.from({ length: BURST }, () => one.messenger.send({ to: EVERYBODY, payload })));
      await eventually(() => one.messenger.status().outbox.messages === 0, 'delivered', 60_000);
      return (one.watch?.microseconds ?? 0) / BURST;
    };
    for (const [count, one] of senders) {
      const t = performance.now();
      await burst(one, 10);
      console.error('met', count, performance.now() - t);
    }
    const watch = new Stopwatch();
    const timed = watch.engine(engine);
    for (const [name, size] of Object.entries(SIZES)) {
      const measured = await inTurn(ROUNDS, {
        reference: () => {
          const payload = nodeRandomness(size);
          const to = establishedPair(engine, timed);
          watch.reset();
          let session = timed.createGroupSession();
          for (let i = 0; i < BURST; i++) {
            if (i % MESSAGES_BEFORE_ROTATION === 0) {
              session = timed.createGroupSession();
              to.encrypt(session.shareKey().expose());
            }
            session.encrypt(payload);
          }
          return watch.microseconds / BURST;
        },
        ...Object.fromEntries([...senders].map(([count, one]) => [`to${count}`, () => burst(one, size)])),
      } as Record<string, () => number | Promise<number>>);
      console.log(name, 'reference', measured.reference!.median.toFixed(1), [...watch.calls].map(([k, v]) => `${k} ${v.count} ${v.microseconds.toFixed(0)}`).join('; '));
      for (const [count, one] of senders) {
        const m = measured[`to${count}`]!;
        console.log(name, `to ${count}`, m.median.toFixed(1), (m.median / measured.reference!.median).toFixed(2));
        for (const [k, v] of [...one.watch!.calls].sort((a, b) => b[1].microseconds - a[1].microseconds).slice(0, 14))
          console.log('     ', k.padEnd(40), v.count, (v.microseconds / BURST).toFixed(2));
      }
    }
  } finally {
    await Promise.all(running.map((one) => one.close()));
    rmSync(dir, { recursive: true, force: true });
  }
  return rows;
}

function establishedPair(engine: Engine, timed: Engine): Session {
  const [alice, bob] = [timed.createAccount(), engine.createAccount()];
  const [oneTimeKey] = bob.createOneTimeKeys(1);
  const sender = alice.startSession(bob.keys.agreement, oneTimeKey!);
  const accepted = bob.acceptSession(alice.keys.agreement, sender.encrypt(new Uint8Array()).body);
  if ('refused' in accepted) throw new Error(accepted.refused);
  sender.decrypt(accepted.ok.session.encrypt(new Uint8Array()));
  return sender;
}

await groupRows();
