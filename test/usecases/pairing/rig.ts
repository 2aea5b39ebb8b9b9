/**
 * Devices that pair, in one process: the real engine, sealed stores in memory, a post that does as it is told, and
 * a clock that moves only when a test says so. What stands in for a person is `drive`, which types what it reads.
 */
import { createSealedKeystore, openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys } from '../../../src/adapters/keystore/store-keys.ts';
import { MemoryDisk } from '../../../src/adapters/memory/memory-key-value.ts';
import { VirtualClock } from '../../../src/adapters/memory/virtual-clock.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { parseDeviceName } from '../../../src/entities/device-name.ts';
import type { Party } from '../../../src/entities/pair-keys.ts';
import { decodeInviteLink, type InviteLink, type LinkBroker } from '../../../src/entities/pairing/link.ts';
import type { SixthMessage } from '../../../src/entities/pairing/messages.ts';
import type { Result } from '../../../src/entities/result.ts';
import type { Membership } from '../../../src/entities/roster/membership.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { decodeEnvelope, type PairingEnvelope } from '../../../src/entities/wire/envelope.ts';
import { type CommitCycle, createCommitCycle } from '../../../src/usecases/commit-cycle.ts';
import { createDevice } from '../../../src/usecases/device/create-device.ts';
import { type LoadedDevice, loadDevice } from '../../../src/usecases/device/load-device.ts';
import { loadMesh } from '../../../src/usecases/membership/load-mesh.ts';
import { createMeshLog, type MeshLog } from '../../../src/usecases/membership/mesh-log.ts';
import type { News } from '../../../src/usecases/messaging/office.ts';
import {
  createInviting,
  type InviteRequest,
  type Inviting,
  type ReservedKeys,
} from '../../../src/usecases/pairing/inviting.ts';
import {
  createJoining,
  type JoinEvent,
  type Joining,
  type JoinResult,
} from '../../../src/usecases/pairing/joining.ts';
import type { Engine } from '../../../src/usecases/ports/engine.ts';
import type { Keystore } from '../../../src/usecases/ports/keystore.ts';
import type { Transport } from '../../../src/usecases/ports/transport.ts';
import { realRandomness } from '../../randomness.ts';
import { type Packet, Post } from '../messaging/post.ts';
import { type Cheat, cheatingEngine } from './cheating-engine.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const DAY = 24 * 60 * MINUTE;
export const BROKER: LinkBroker = { url: 'mqtt://broker.example:1883' };

const { hash, mac } = nodePrimitives;
const engine = loadEngine(realRandomness);
const storeKeys = deriveStoreKeys(mac, new Secret(new Uint8Array(32).fill(7)), new Uint8Array(16));

export function must<T>(result: Result<T, string>): T {
  if ('refused' in result) throw new Error(`refused as ${result.refused}`);
  return result.ok;
}

interface Running {
  readonly keystore: Keystore;
  readonly device: LoadedDevice;
  readonly cycle?: CommitCycle;
  readonly inviting?: Inviting;
  readonly log?: MeshLog;
  readonly joining?: Joining;
}

/** A device: its disk, and what runs on it. */
export class Device {
  readonly name: string;
  readonly disk = new MemoryDisk();
  readonly rig: PairingRig;
  party!: Party;
  running: Running | undefined;
  readonly news: News[] = [];
  readonly counts = new Map<string, number>();
  readonly welcomed: { readonly newcomer: Party; readonly keys: ReservedKeys }[] = [];
  readonly events: JoinEvent[] = [];
  /** How joining ended here. */
  result: JoinResult | undefined;
  fatal: unknown;
  /** Logins that are given to members, where this device runs the broker. */
  loginFor: ((device: DeviceId) => SixthMessage['login']) | undefined;

  /** What it says instead of what the protocol asks for. */
  cheat: Cheat = (message) => message;

  constructor(rig: PairingRig, name: string) {
    this.rig = rig;
    this.name = name;
  }

  get id(): DeviceId {
    return this.party.id;
  }

  get inviting(): Inviting {
    const { inviting } = this.running ?? {};
    if (inviting === undefined) throw new Error(`${this.name} does not invite`);
    return inviting;
  }

  get log(): MeshLog {
    const { log } = this.running ?? {};
    if (log === undefined) throw new Error(`${this.name} does not run`);
    return log;
  }

  /** The codes that its screen has shown. */
  get codes(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'code' ? [event.code] : []));
  }

  async engine(): Promise<Engine> {
    return cheatingEngine(await engine, (message, account) => this.cheat(message, account));
  }

  storeParts() {
    return {
      database: this.disk.database(),
      anchor: this.disk.anchor(),
      keys: storeKeys,
      primitives: nodePrimitives,
      randomness: realRandomness,
      clock: this.rig.clock,
    };
  }

  async withStore<T>(work: (keystore: Keystore) => Promise<T>): Promise<T> {
    if (this.running !== undefined) throw new Error(`${this.name} is running`);
    const keystore = await openSealedKeystore(this.storeParts());
    try {
      return await work(keystore);
    } finally {
      await keystore.close();
    }
  }

  async membership(): Promise<Membership> {
    return this.running?.log?.membership() ?? this.withStore((keystore) => loadMesh(hash, keystore));
  }

  async members(): Promise<string[]> {
    const { roster } = await this.membership();
    return [...roster.members].sort();
  }

  /** Runs as a member that may invite. */
  async serve(): Promise<void> {
    const keystore = await openSealedKeystore(this.storeParts());
    const engine = await this.engine();
    const device = await loadDevice({ engine, hash }, keystore);
    const { self, account, pickleKey } = device;
    const fatal = (error: unknown): void => {
      this.fatal = error;
    };
    const { clock } = this.rig;
    const cycle = createCommitCycle({ keystore, clock, prepare: () => undefined, fatal });
    const membership = await loadMesh(hash, keystore);
    const parts = { engine, hash, clock, self, account, cycle, membership };
    const log = createMeshLog({ ...parts, grown: () => undefined });
    const transport = this.rig.transport(this);
    const inviting = createInviting({
      office: {
        ...parts,
        mac,
        randomness: realRandomness,
        keystore,
        transport,
        pickleKey,
        accountChanged: () => cycle.change('account', 'self', () => account.pickle(pickleKey)),
        count: (reason) => this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1),
        tell: (news) => this.news.push(news),
      },
      log,
      welcome: (newcomer, keys) => this.welcomed.push({ newcomer, keys }),
      ...(this.loginFor === undefined ? {} : { loginFor: this.loginFor }),
    });
    await inviting.load();
    this.running = { keystore, device, cycle, inviting, log };
    transport.open({
      packet: (bytes) => {
        const decoded = decodeEnvelope(bytes);
        if ('refused' in decoded || decoded.ok.envelope.kind !== 'pairing') return;
        this.running?.inviting?.packet(decoded.ok.envelope, decoded.ok.head);
      },
      connected: () => undefined,
      disconnected: () => undefined,
    });
    await this.rig.settle();
  }

  /** Runs for joining: with a link, or where it had stopped. */
  async join(link?: InviteLink, settings?: ReadonlyMap<string, string>): Promise<void> {
    const keystore = await openSealedKeystore(this.storeParts());
    const engine = await this.engine();
    const device = await loadDevice({ engine, hash }, keystore);
    const joining = createJoining({
      engine,
      hash,
      mac,
      clock: this.rig.clock,
      randomness: realRandomness,
      keystore,
      transport: this.rig.transport(this),
      device,
      name: must(parseDeviceName(this.name)),
      tell: (event) => this.events.push(event),
    });
    const running: Running = { keystore, device, joining };
    this.running = running;
    this.result = undefined;
    const result = link === undefined ? joining.resume() : joining.start(link, settings);
    result.then(
      async (ended) => {
        if (this.running !== running) return;
        this.running = undefined;
        this.result = ended;
        device.account.dispose();
        await keystore.close();
      },
      (error: unknown) => {
        this.fatal = error;
      },
    );
    await this.rig.settle();
  }

  /** The power goes. */
  crash(): void {
    const { running } = this;
    if (running === undefined) return;
    this.running = undefined;
    this.rig.post.unplug(this.id);
    running.inviting?.stop();
    running.cycle?.stop();
    running.joining?.stop();
    running.device.account.dispose();
    this.disk.cutPower();
  }
}

export class PairingRig {
  readonly clock = new VirtualClock();
  readonly post = new Post(this.clock);
  readonly devices: Device[] = [];

  /** Called when a device has taken a packet in, before anything of that is kept. */
  received: (device: Device, bytes: Uint8Array) => void = () => undefined;

  transport(device: Device): Transport {
    const transport = this.post.transport(device.id);
    return {
      ...transport,
      open: (events) =>
        transport.open({
          ...events,
          packet: (bytes) => {
            events.packet(bytes);
            this.received(device, bytes);
          },
        }),
    };
  }

  static async make(...names: readonly string[]): Promise<PairingRig> {
    const rig = new PairingRig();
    for (const name of names) await rig.add(name);
    return rig;
  }

  async add(name: string): Promise<Device> {
    const device = new Device(this, name);
    const keystore = await createSealedKeystore(device.storeParts());
    const { clock } = this;
    const create = createDevice({ engine: await engine, hash, clock, randomness: realRandomness });
    must(await create(keystore, name));
    const loaded = await loadDevice({ engine: await engine, hash }, keystore);
    device.party = loaded.self;
    loaded.account.dispose();
    await keystore.close();
    this.devices.push(device);
    return device;
  }

  device(index: number): Device {
    const device = this.devices[index];
    if (device === undefined) throw new Error(`the rig has no device ${index}`);
    return device;
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    while (this.clock.untilNext() === 0) {
      this.clock.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.elapsed() + milliseconds;
    await this.settle();
    for (;;) {
      const next = this.clock.untilNext();
      if (next === undefined || this.clock.elapsed() + next > end) break;
      this.clock.step();
      await this.settle();
      for (const device of this.devices) if (device.fatal !== undefined) throw device.fatal;
    }
    this.clock.pass(end - this.clock.elapsed());
  }

  /** Waits for a promise that resolves when virtual time passes. */
  async during<T>(work: Promise<T>): Promise<T> {
    await this.settle();
    return work;
  }

  async invite(inviter: Device, request: Partial<InviteRequest> = {}): Promise<InviteLink> {
    const made = await this.during(inviter.inviting.create({ ttl: 10 * MINUTE, broker: BROKER, ...request }));
    return this.read(must(made).link);
  }

  read(text: string): InviteLink {
    return must(decodeInviteLink(hash, text));
  }

  /** Until the newcomer shows a code and the inviter has a request. */
  async meet(inviter: Device, newcomer: Device, link: InviteLink): Promise<string> {
    await newcomer.join(link);
    await this.pass(5 * SECOND);
    const code = newcomer.codes.at(-1);
    if (code === undefined || inviter.inviting.requests().length !== 1) throw new Error('they have not met');
    return code;
  }

  /**
   * A patient person with both devices: starts what has stopped, and types each code as soon as it is asked
   * for. Ends when the newcomer's joining has.
   */
  async drive(inviter: Device, newcomer: Device, link: InviteLink, most = 10 * MINUTE): Promise<void> {
    if (newcomer.running === undefined) {
      newcomer.result = undefined;
      newcomer.events.length = 0;
    }
    for (let waited = 0; waited < most; waited += SECOND) {
      if (newcomer.result !== undefined) return;
      if (inviter.running === undefined) await inviter.serve();
      if (newcomer.running === undefined && newcomer.result === undefined) await newcomer.join(link);
      await this.pass(SECOND);
      const code = newcomer.codes.at(-1);
      if (code === undefined || inviter.running === undefined) continue;
      if (inviter.inviting.requests().length > 0) {
        const approving = inviter.inviting.approve(code);
        approving.catch(() => undefined);
        await this.settle();
      }
    }
    throw new Error('the pairing does not come to an end');
  }

  /** The pairing message in a packet. */
  message(packet: Pick<Packet, 'bytes'>): PairingEnvelope {
    const decoded = must(decodeEnvelope(packet.bytes));
    if (decoded.envelope.kind !== 'pairing') throw new Error(`a packet with a ${decoded.envelope.kind}`);
    return decoded.envelope;
  }

  /** Which steps a device has sent to another, in order. */
  steps(from: Device, to: Device): number[] {
    return this.post.log
      .filter((packet) => packet.from === from.id && packet.to === to.id)
      .map((packet) => this.message(packet).step);
  }
}

/** Both ends hold the same, and nobody else is in it. */
export async function expectMarried(inviter: Device, newcomer: Device): Promise<string | undefined> {
  if (newcomer.result === undefined || 'refused' in newcomer.result) {
    return `the newcomer ended with ${JSON.stringify(newcomer.result)}`;
  }
  const [one, other] = [await inviter.membership(), await newcomer.membership()];
  if (one.mesh !== other.mesh) return 'they are in two meshes';
  if (Buffer.compare(one.roster.digest, other.roster.digest) !== 0) return 'they hold two logs';
  if (!one.roster.members.has(newcomer.id) || one.roster.members.size !== 2) return 'not two members';
  const adds = [...one.log.values()].filter((entry) => entry.body.kind === 'add');
  if (adds.length !== 1) return `${adds.length} additions`;
  return undefined;
}
