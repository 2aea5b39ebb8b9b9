import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../brokers/loopback.ts';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { type MeshDevice, makeMesh } from '../process/make-mesh.ts';
import { as, compile, MeshProcess } from '../process/mesh-process.ts';
import { digestOf, mixedPayload, readAll, sendAll } from './caller.ts';

const MESSAGES = Number(process.env.ENDURANCE_MESSAGES ?? 10_000);
const KILLS = 10;
const MINUTE = 60_000;

const dirs: string[] = [];
async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mesh-endurance-'));
  dirs.push(dir);
  return dir;
}

beforeAll(compile, MINUTE);
afterAll(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true }))));

/** A daemon that is killed as a power cut kills, and started again. */
class Killed {
  readonly #device: MeshDevice;
  readonly #args: readonly string[];
  #process: MeshProcess;

  constructor(device: MeshDevice, ...args: readonly string[]) {
    this.#device = device;
    this.#args = args;
    this.#process = this.#start();
  }

  #start(): MeshProcess {
    return new MeshProcess(['up', ...as(this.#device), ...this.#args]);
  }

  async again(): Promise<void> {
    await this.#process.stop('SIGKILL');
    this.#process = this.#start();
    await this.#process.saw('ready');
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGTERM');
  }

  ready(): Promise<unknown> {
    return this.#process.saw('ready');
  }
}

/** Kills each of them ten times, one at a time, at moments spread over the progress of the sending. */
function killsAlongTheWay(victims: readonly (() => Promise<void>)[]): {
  readonly onAccepted: (i: number) => void;
  readonly done: () => Promise<void>;
  readonly count: () => number;
} {
  const due: { readonly at: number; readonly victim: () => Promise<void> }[] = [];
  victims.forEach((victim, v) => {
    for (let k = 0; k < KILLS; k++) {
      const share = (k + (v + Math.random()) / victims.length) / KILLS;
      due.push({ at: Math.floor(share * MESSAGES * 0.98), victim });
    }
  });
  due.sort((a, b) => a.at - b.at);
  let happening: Promise<void> = Promise.resolve();
  let killed = 0;
  return {
    onAccepted(i) {
      while (due[0] !== undefined && due[0].at <= i) {
        const next = due.shift();
        if (next === undefined) break;
        killed++;
        happening = happening.then(next.victim);
      }
    },
    done: () => happening,
    count: () => killed,
  };
}

async function carryAll(
  sender: MeshDevice,
  receiver: MeshDevice,
  kills: ReturnType<typeof killsAlongTheWay>,
): Promise<void> {
  await sendAll(sender.home, {
    count: MESSAGES,
    target: receiver.deviceId,
    payload: mixedPayload,
    accepted: kills.onAccepted,
  });
  await kills.done();
  const arrived = await readAll(receiver.home, MESSAGES, 8 * MINUTE);
  expect(arrived).toHaveLength(MESSAGES);
  arrived.forEach(({ digest }, i) => {
    expect(digest, `message ${i} of ${MESSAGES}`).toBe(digestOf(mixedPayload(i)));
  });
}

describe('ten thousand messages while everything is killed again and again', () => {
  it.skipIf(!hasMosquitto)(
    `arrive once each and in order through Mosquitto${hasMosquitto ? '' : `: ${withoutMosquitto}`}`,
    async () => {
      const broker = await startMosquitto({ persistence: true });
      const [laptop, pi] = await makeMesh({ count: 2, dir: await freshDir(), brokerUrl: broker.url });
      if (laptop === undefined || pi === undefined) throw new Error('two devices were made');
      const [sender, receiver] = [new Killed(laptop), new Killed(pi)];
      try {
        await Promise.all([sender.ready(), receiver.ready()]);
        const killBroker = async (): Promise<void> => {
          await broker.kill();
          await broker.restart();
        };
        const kills = killsAlongTheWay([() => sender.again(), () => receiver.again(), killBroker]);
        await carryAll(laptop, pi, kills);
        expect(kills.count()).toBe(3 * KILLS);
      } finally {
        await Promise.all([sender.stop(), receiver.stop()]);
        await broker.stop();
      }
    },
    12 * MINUTE,
  );

  it(
    'arrive once each and in order where the receiver runs the broker itself, and takes it down with it',
    async () => {
      const port = await freePort();
      const [pi, laptop] = await makeMesh({ count: 2, dir: await freshDir(), embeddedPort: port });
      if (laptop === undefined || pi === undefined) throw new Error('two devices were made');
      const receiver = new Killed(pi, '--embedded-broker', `127.0.0.1:${port}`);
      await receiver.ready();
      const sender = new Killed(laptop);
      try {
        await sender.ready();
        const kills = killsAlongTheWay([() => sender.again(), () => receiver.again()]);
        await carryAll(laptop, pi, kills);
        expect(kills.count()).toBe(2 * KILLS);
      } finally {
        await Promise.all([sender.stop(), receiver.stop()]);
      }
    },
    12 * MINUTE,
  );
});
