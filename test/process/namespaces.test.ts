/**
 * From nothing to a mesh of two hosts: `npm start` on the one, `mesh join` on the other, with a network between them
 * and nothing on their disks but the program. The hosts are network namespaces.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasMosquitto, PROGRAM as MOSQUITTO, withoutMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import {
  type Cable,
  hasNamespaces,
  layCable,
  type NetworkHost,
  withoutNamespaces,
} from '../support/namespaces.ts';
import { compile, type Ended, type Event, MeshProcess } from './mesh-process.ts';

/** What a person has at one host. */
class Seat {
  readonly #env: Readonly<Record<string, string>>;
  readonly #host: NetworkHost;
  readonly #dir: string;
  readonly running: MeshProcess[] = [];

  constructor(host: NetworkHost, dir: string) {
    this.#host = host;
    this.#dir = dir;
    this.#env = { XDG_DATA_HOME: join(dir, 'data'), XDG_CONFIG_HOME: join(dir, 'config') };
  }

  get home(): string {
    return join(this.#dir, 'data', 'trusted-mesh');
  }

  /** Where the program put it by itself. */
  async keyFile(): Promise<string> {
    const directory = join(this.#dir, 'config', 'trusted-mesh');
    return join(directory, (await readdir(directory))[0] ?? '');
  }

  start(args: readonly string[], input?: string): MeshProcess {
    const options = { env: this.#env, through: this.#host.exec, ...(input === undefined ? {} : { input }) };
    const process = new MeshProcess([...args, '--json'], options);
    this.running.push(process);
    return process;
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(args).ended();
  }
}

describe.skipIf(!hasNamespaces)(`two hosts${hasNamespaces ? '' : ` (${withoutNamespaces})`}`, () => {
  let base: string;
  let cable: Cable;
  let laptop: Seat;
  let pi: Seat;
  let broker: ChildProcess | undefined;

  beforeAll(compile, 120_000);
  beforeEach(async () => {
    base = await temporaryDirectory();
    cable = await layCable();
    laptop = new Seat(cable.near, join(base, 'near'));
    pi = new Seat(cable.far, join(base, 'far'));
  });
  afterEach(async () => {
    await Promise.all([...laptop.running, ...pi.running].map((one) => one.stop('SIGKILL')));
    broker?.kill('SIGKILL');
    broker = undefined;
    await cable.remove();
    await rm(base, { recursive: true, force: true });
  });

  interface Joined {
    readonly daemon: MeshProcess;
    readonly ready: Event;
    readonly inviter: Event;
    /** From the link at the newcomer to a member that everybody lists, in milliseconds. */
    readonly took: number;
  }

  /** `mesh start` at the laptop, whose second device the Pi becomes. */
  async function pair(): Promise<Joined> {
    const daemon = laptop.start(['start']);
    const ready = await daemon.saw('ready');
    const { link } = await daemon.saw('invite');
    await daemon.saw('connected');
    const began = performance.now();
    const joining = pi.start(['join', '-', '--yes', '--name', 'pi'], String(link));
    const { code } = await joining.saw('code');
    const claimed = await daemon.saw('claimed');
    const approved = await laptop.run('approve', '--code', String(code));
    expect(approved.status, approved.stdout + approved.stderr).toBe(0);
    await daemon.saw('joined');
    const joined = await joining.saw('joined');
    const took = performance.now() - began;
    expect(joined).toMatchObject({ deviceId: claimed.deviceId, members: 2 });
    expect((await joining.ended()).status).toBe(0);
    for (const seat of [laptop, pi]) {
      const { events } = await seat.run('devices');
      expect(events.map(({ status }) => status)).toEqual(['member', 'member']);
    }
    return { daemon, ready, inviter: await joining.saw('inviter'), took };
  }

  async function up(seat: Seat): Promise<MeshProcess> {
    const daemon = seat.start(['up']);
    await daemon.saw('connected');
    return daemon;
  }

  async function delivers(from: Seat, to: Seat, text: string): Promise<void> {
    const sent = await from.run('send', 'all', text, '--wait', 'delivered', '--timeout', '30s');
    expect(sent.status, sent.stdout + sent.stderr).toBe(0);
    const heard = await to.run('listen', '--count', '1', '--timeout', '30s');
    expect(heard.events).toMatchObject([{ text }]);
  }

  it('become a mesh by "start" and "join", with TLS between them, and one of them is shut out again', async () => {
    const { ready, inviter, took } = await pair();
    const url = `mqtts://${cable.near.address}:8883`;
    expect(ready.embeddedBroker).toMatchObject({ invite: url, tls: true });
    expect((ready.embeddedBroker as Event).pin).toMatch(/^[0-9a-f]{64}$/);
    expect(inviter.broker).toBe(url);
    expect(took).toBeLessThan(10_000);
    const { events } = await pi.run('config', 'get', 'broker-pin');
    expect(events[0]?.value).toBe((ready.embeddedBroker as Event).pin);

    // As it was while it was a member, for whoever finds its disk later.
    const old = join(base, 'old');
    await cp(pi.home, old, { recursive: true, preserveTimestamps: true });
    const keyFile = await pi.keyFile();
    const daemon = await up(pi);
    await delivers(laptop, pi, 'over the cable');
    await delivers(pi, laptop, 'and back');

    const revoked = await laptop.run(
      'revoke',
      'pi',
      '--reason',
      'lost',
      '--yes',
      '--wait',
      '--timeout',
      '30s',
    );
    expect(revoked.status, revoked.stdout + revoked.stderr).toBe(0);
    const ended = await daemon.ended();
    expect([ended.status, ended.events.at(-1)?.code]).toEqual([7, 'device-revoked']);
    // The login outlives the removal by a few seconds, in which the device is told.
    await setTimeout(7000);
    const again = await pi.run('up', '--home', old, '--key-file', keyFile);
    expect([again.status, again.events.at(-1)?.code]).toEqual([5, 'broker-refused-login']);
  });

  it.skipIf(!hasMosquitto)(
    `become one over a Mosquitto on the one of them${hasMosquitto ? '' : ` (${withoutMosquitto})`}`,
    async () => {
      const { address, exec } = cable.near;
      const file = join(base, 'mosquitto.conf');
      await writeFile(file, `user root\nlistener 1883 ${address}\nallow_anonymous true\npersistence false\n`);
      const [program = '', ...words] = [...exec, MOSQUITTO ?? '', '-c', file];
      broker = spawn(program, words, { stdio: 'ignore' });
      const url = `mqtt://${address}:1883`;
      const made = await laptop.run('init', '--name', 'laptop', '--broker', url);
      expect(made.status, made.stderr).toBe(0);
      const { ready, inviter } = await pair();
      expect([ready.broker, ready.embeddedBroker, inviter.broker]).toEqual([url, undefined, url]);
      await up(pi);
      await delivers(laptop, pi, 'by way of the broker');
      await delivers(pi, laptop, 'and back');
    },
  );
});
