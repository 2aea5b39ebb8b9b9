/** One device of the campaign: where it lives, its clock, its disk, and its processes. */
import { setTimeout as pause } from 'node:timers/promises';
import { createRpcClient, type RpcClient } from '../../src/adapters/rpc/client.ts';
import type { JsonObject } from '../../src/adapters/rpc/protocol.ts';
import { connectSocket } from '../../src/drivers/node/local-socket.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { as, type Ended, MeshProcess, type RunOptions } from '../process/mesh-process.ts';
import type { Place } from '../process/pairing-cast.ts';
import type { WrongClock } from './clock.ts';
import type { Disk } from './disk.ts';
import { complaintAbout } from './verdict.ts';

/** Longer than any daemon takes to start. */
const PATIENCE = 30_000;

/** What has to be told of, and fails the campaign. */
export type Complain = (text: string) => void;

export class Station {
  readonly place: Place;
  readonly disk: Disk;
  readonly clock: WrongClock;
  readonly #complain: Complain;
  readonly #running = new Map<MeshProcess, 'daemon' | 'command'>();
  readonly #killed = new WeakSet<MeshProcess>();
  /** With which codes its processes have ended: a trouble that does nothing shows here. */
  readonly ends: string[] = [];
  #deviceId: DeviceId | undefined;
  #over = false;
  /** When a daemon began or ended last. */
  #turned = Number.NEGATIVE_INFINITY;

  constructor(place: Place, disk: Disk, clock: WrongClock, complain: Complain) {
    this.place = place;
    this.disk = disk;
    this.clock = clock;
    this.#complain = (text) => complain(`${place.name}: ${text}`);
  }

  /** Known once it is in the mesh. */
  get id(): DeviceId {
    if (this.#deviceId === undefined) throw new Error(`${this.place.name} is in no mesh yet`);
    return this.#deviceId;
  }

  set id(id: DeviceId) {
    this.#deviceId = id;
  }

  complain(text: string): void {
    this.#complain(text);
  }

  /** Resolves when it has ended, and complains where it should not have ended so. */
  async run(kind: 'daemon' | 'command', args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    this.#assertOpen();
    const since = performance.now();
    const { through } = this.disk;
    const process = new MeshProcess([...args, ...as(this.place)], {
      ...options,
      env: this.clock.environment,
      through,
    });
    this.#running.set(process, kind);
    if (kind === 'daemon') this.#turned = since;
    const ended = await process.ended();
    this.#running.delete(process);
    if (kind === 'daemon') this.#turned = performance.now();
    const code = codeOf(ended);
    if (code !== undefined) this.ends.push(code);
    const complaint = complaintAbout(
      {
        status: ended.status,
        signal: process.child.signalCode,
        code,
        killed: this.#killed.has(process),
        disk: this.disk.since(since),
        restarted: this.#turned >= since,
      },
      kind,
    );
    if (complaint !== undefined) {
      this.#complain(
        `"mesh ${args[0]}" ${complaint}\n${ended.stdout.slice(-2000)}${ended.stderr.slice(-4000)}`,
      );
    }
    return ended;
  }

  /** As the power cut does; returns how many. */
  async kill(kind: 'daemon' | 'command'): Promise<number> {
    const victims = [...this.#running].filter(([, is]) => is === kind).map(([process]) => process);
    for (const victim of victims) this.#killed.add(victim);
    await Promise.all(victims.map((victim) => victim.stop('SIGKILL')));
    return victims.length;
  }

  /** Kills what runs, and lets nothing begin any more: whoever still calls gets an error. */
  async close(): Promise<void> {
    this.#over = true;
    await this.kill('daemon');
    await this.kill('command');
  }

  #assertOpen(): void {
    if (this.#over) throw new Error(`${this.place.name}: the mesh is over`);
  }

  /** What runs, and what it has said: for whoever waits in vain. */
  describe(): string {
    const lines = [...this.#running.keys()].map(({ child, stdout, stderr }) => {
      return `${child.pid}: ${child.spawnargs.slice(2, 5).join(' ')}\n${(stdout + stderr).slice(-1500)}`;
    });
    return [`on ${this.place.name}:`, ...lines].join('\n');
  }

  pids(): readonly number[] {
    return [...this.#running.keys()].flatMap(({ child }) => child.pid ?? []);
  }

  /** To whoever has the store, as soon as somebody has; `undefined` where nobody has within `limit`. */
  async clientWithin(
    limit: number,
    notified?: (method: string, params: JsonObject) => void,
  ): Promise<RpcClient | undefined> {
    const deadline = performance.now() + limit;
    while (performance.now() < deadline) {
      this.#assertOpen();
      const channel = await connectSocket(this.place.home);
      if (channel !== undefined) return createRpcClient(channel, notified);
      await pause(25);
    }
    return undefined;
  }

  /** The same, where somebody has to have it. */
  async client(notified?: (method: string, params: JsonObject) => void): Promise<RpcClient> {
    const client = await this.clientWithin(PATIENCE, notified);
    if (client === undefined) throw new Error(`${this.place.name}: nobody serves its store`);
    return client;
  }
}

function codeOf({ events }: Ended): string | undefined {
  const last = events.at(-1);
  return last?.event === 'error' && typeof last.code === 'string' ? last.code : undefined;
}
