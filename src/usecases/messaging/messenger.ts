/**
 * Sending and receiving between devices that know each other's keys, as one thing: built from the ports and what
 * is stored, subscribed to the transport last. Half of the file is what a messenger is; the other half puts it together.
 */
import { toHex } from '../../entities/bytes.ts';
import { type DeviceId, deviceIdBytes } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Party } from '../../entities/pair-keys.ts';
import type { Result } from '../../entities/result.ts';
import { headsToName } from '../../entities/roster/anti-entropy.ts';
import { type Circle, circleMembers } from '../../entities/roster/circle.ts';
import { hashBytes } from '../../entities/roster/entry.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import type { Head, Roster } from '../../entities/roster/roster.ts';
import type { Secret } from '../../entities/secret.ts';
import type { SessionId } from '../../entities/session-set.ts';
import { type HeadMark, MAX_PAYLOAD_BYTES, MAX_RECORDS, RUN_BYTES } from '../../entities/wire/items.ts';
import { createCommitCycle } from '../commit-cycle.ts';
import { createMeshLog, type LogChange, type MeshLog } from '../membership/mesh-log.ts';
import { createInviting, type Inviting, type InvitingParts } from '../pairing/inviting.ts';
import type { Account, Pickle } from '../ports/engine.ts';
import type { IncidentRecord, LotRecord, PoisonRecord } from '../ports/records.ts';
import { type Accepting, createAccepting } from './accepting.ts';
import { type Company, createCompany, loadPeers } from './company.ts';
import { type Contact, createContact } from './contact.ts';
import { createDispatch } from './dispatch.ts';
import { createEnded, lastLot } from './ended.ts';
import { createFarewell, type Farewell } from './farewell.ts';
import { createGossip, type Gossip } from './gossip.ts';
import { createGroupReading } from './group-reading.ts';
import { createGroupSending } from './group-sending.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createIncidents } from './incidents.ts';
import { createIntake } from './intake.ts';
import type { Addressee } from './lot.ts';
import type { MessagingPorts, News, Office } from './office.ts';
import { createOutbox, type Receipt } from './outbox.ts';
import { goBackTo, type Peer } from './peer.ts';
import { createQuarantine } from './quarantine.ts';
import { createRatchets } from './ratchets.ts';
import { createReceiving } from './receive.ts';
import { createSealing } from './sealing.ts';
import { createVigilance } from './vigilance.ts';

const MINUTE = 60_000;

export interface MessengerParts extends MessagingPorts {
  readonly self: Party;
  readonly account: Account;
  readonly pickleKey: Secret;
  /** As the store has it. */
  readonly membership: Membership;
  /** A login of its own for a new member, where the broker is this device's. */
  readonly loginFor?: InvitingParts['loginFor'];
  /** Called once: the state in memory can no longer be trusted, so the process has to end. */
  readonly fatal: (error: unknown) => void;
}

export interface Status {
  readonly online: boolean;
  /** Content goes out only upon what was lately confirmed about the membership. */
  readonly fresh: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly peers: readonly {
    readonly deviceId: DeviceId;
    readonly sessions: number;
    readonly waiting: number;
    readonly inFlight: number;
    readonly lastHeard: number | undefined;
    /** Since when it has answered others and not this device, in the time of this run. */
    readonly withheldSince: number | undefined;
    readonly lastError: string | null;
  }[];
  readonly inbox: { readonly batches: number; readonly bytes: number };
  readonly outbox: { readonly messages: number; readonly bytes: number };
  /** The last hundred, the newest last. */
  readonly incidents: readonly IncidentRecord[];
  /** How many packets, sessions and batches were put aside because they brought the program down. */
  readonly quarantined: number;
}

/** How far another device can read what this one sends to a circle, and the other way round. */
export interface Coverage {
  /** Whether it was given the key in use, and whether it has acknowledged something that takes that key to read. */
  readonly ours: 'none' | 'given' | 'held';
  readonly theirs: boolean;
}

export interface MessengerGroups {
  /** Gives up the key that this device sends with; resolves once that is durable. False where there was none. */
  rotate(circle: Circle): Promise<boolean>;
  /** Of all in the circle but this device. */
  coverage(circle: Circle): ReadonlyMap<DeviceId, Coverage>;
}

export interface Messenger {
  send: Accepting['send'];
  cancel(id: Uint8Array): Promise<Result<Receipt, 'unknown-message'>>;
  delivery: Accepting['delivery'];
  ended: Accepting['ended'];
  /** What still waits. */
  outbox(): readonly (Receipt & { readonly sentAt: number })[];
  readonly inbox: Pick<Inbox, 'cursor' | 'read' | 'move' | 'forgetCursor' | 'sweep'>;
  /** Calls `listener` after each thing that happened; returns how to stop that. */
  listen(listener: (news: News) => void): () => void;
  status(): Status;
  /** The membership log, as it stands and to be written to. */
  readonly log: MeshLog;
  readonly farewell: Pick<Farewell, 'standing' | 'answered'>;
  readonly groups: MessengerGroups;
  readonly inviting: Omit<Inviting, 'packet' | 'load' | 'stop' | 'forget'>;
  /** Lets the transport connect. */
  open(): void;
  /** Resolves when all that was begun is durable and shown. */
  settled(): Promise<void>;
  /** Resolves when the broker has what this device wrote about the membership, or after `patience`. */
  handedOver(patience: number): Promise<void>;
  /** Ends in good order: what waits is written, the transport says goodbye, the engine's memory is given back. */
  close(): Promise<void>;
  /** Ends at once, as a power cut would. Nothing more is written or published. */
  abandon(): void;
}

export async function createMessenger(parts: MessengerParts): Promise<Messenger> {
  const { keystore, clock, engine, transport, self, hash } = parts;
  const { mesh } = parts.membership;
  const listeners = new Set<(news: News) => void>();
  const counts: Record<string, number> = {};
  const incidents = createIncidents(keystore);
  await incidents.load();
  let online = false;
  let over = false;

  const ranBefore = (await keystore.read('running', 'self')) ?? 0;
  const startedAt = clock.elapsed();
  const runningTime = (): number => ranBefore + clock.elapsed() - startedAt;

  const fatal = (error: unknown): void => {
    if (over) return;
    over = true;
    cycle.stop();
    parts.fatal(error);
  };

  const cycle = createCommitCycle({ keystore, clock, prepare, fatal });

  function prepare(): void {
    accepting.acceptGathered();
    farewell.prepare();
    dispatch.prepare();
  }

  const stored = parts.membership.roster;
  const peers: Map<DeviceId, Peer> = await loadPeers({ hash, mesh, self, keystore }, stored);
  const log: MeshLog = createMeshLog({ ...parts, cycle, grown });

  function grown(change: LogChange): void {
    company.grown(change);
    gossip.grown(change);
    farewell.grown(change);
    for (const id of change.now.forks.keys()) {
      if (!change.before.forks.has(id)) office.report({ what: 'forked', device: id, count: 1 });
    }
    cycle.afterwards(() => office.tell({ kind: 'membership', change }));
  }

  const tell = (news: News): void => {
    for (const listener of listeners) listener(news);
  };
  const office: Office = {
    ...parts,
    mesh,
    cycle,
    peers,
    run: parts.randomness(RUN_BYTES),
    rosterDigest: () => log.membership().roster.digest,
    heads: () => headsToName(log.membership(), self.id).map(headMark),
    isSibling: (peer) => !peer.gone && peer.standing === 'member' && farewell.standing() === 'member',
    accountChanged() {
      cycle.change('account', 'self', () => parts.account.pickle(parts.pickleKey));
    },
    runningTime,
    isOnline: () => online,
    count(reason) {
      counts[reason] = (counts[reason] ?? 0) + 1;
    },
    report(incident) {
      incidents.note(cycle, { ...incident, at: Math.floor(clock.now()) });
      cycle.afterwards(() => tell({ kind: 'incident', incident }));
    },
    tell,
    fatal,
  };

  const pickles = new Map<SessionId, Pickle>();
  for (const peer of peers.values()) {
    for (const { id } of peer.sessions.sessions) {
      const pickle = await keystore.read('ratchet', id);
      if (pickle === undefined) throw new MeshError('store-damaged', { detail: 'a session has no ratchet' });
      pickles.set(id, pickle);
    }
  }

  const ratchets = createRatchets(engine, parts.pickleKey, cycle, pickles);
  const sealing = createSealing(office, ratchets);
  const roster = (): Roster => log.membership().roster;
  const groupSending = createGroupSending(office, roster);
  const groupReading = createGroupReading(office);
  const outbox = createOutbox(office, groupSending);
  const inbox = createInbox(office);
  const vigilance = createVigilance(office);
  const contact: Contact = createContact({
    office,
    vigilance,
    outbox,
    ratchets,
    sealing,
    groups: groupSending,
    membership: log.membership,
    gossip: () => gossip,
  });
  const { greet } = contact;
  const farewell: Farewell = createFarewell(office, log);
  const { loginFor } = parts;
  const inviting = createInviting({
    office,
    log,
    welcome: ({ id }, keys) => {
      company.welcome(id, keys);
      gossip.paired();
    },
    ...(loginFor === undefined ? {} : { loginFor }),
  });
  const gossip: Gossip = createGossip({ office, log, greet, met: inviting.forget, told: farewell.told });
  const company: Company = createCompany({
    office,
    peers,
    ratchets,
    outbox,
    groupSending,
    groupReading,
    greet,
  });
  const quarantine = createQuarantine(office);
  const receiving = createReceiving({
    office,
    outbox,
    intake: createIntake({ office, inbox, groups: groupReading, quarantine }),
    ratchets,
    contact,
    quarantine,
    vigilance,
    gossip,
    farewell,
    onPairing: inviting.packet,
  });
  const hasRoom = (): boolean => inbox.hasRoomFor(MAX_PAYLOAD_BYTES);
  const ended = createEnded(office);
  const accepting = createAccepting(office, outbox, ended, roster);
  const dispatch = createDispatch({
    office,
    outbox,
    contact,
    sealing,
    groups: groupSending,
    gossip,
    waiting: receiving.waiting,
    hasRoom,
  });

  await groupSending.load();
  await groupReading.load();
  outbox.load(...(await storedLots(keystore)));
  await inbox.load();
  await gossip.load();
  await inviting.load();
  await farewell.load();
  quarantine.load(await storedPoison(keystore));
  for (const peer of peers.values()) peer.cursor = (peer.outgoing?.published ?? 0) + 1;

  function coverageOf(circle: Circle, device: DeviceId): Coverage {
    const holder = groupSending.holderOf(circle, device);
    const ours = holder === undefined ? 'none' : holder.confirmed ? 'held' : 'given';
    return { ours, theirs: groupReading.reads(device, circle) };
  }

  function dispose(): void {
    ratchets.dispose();
    groupSending.dispose();
    groupReading.dispose();
  }

  const housekeeping = { cancel: (): void => undefined };
  let minutes = 0;
  function keepHouse(): void {
    housekeeping.cancel = clock.after(MINUTE, () => {
      minutes += 1;
      // An idle device commits nothing for weeks: what a power cut takes back is an hour at most.
      const note = minutes % 60 === 0 ? cycle.change : cycle.later;
      note('running', 'self', () => Math.floor(runningTime()));
      outbox.expire(runningTime());
      groupReading.sweep();
      contact.checkWithheld();
      vigilance.look();
      contact.breakSilence();
      if (hasRoom()) contact.roomAgain();
      Promise.all([inbox.sweep(), ended.forget()]).then(keepHouse, fatal);
    });
  }

  return {
    send: accepting.send,
    delivery: accepting.delivery,
    ended: accepting.ended,
    async cancel(id) {
      const addressees = outbox.cancel(id);
      if (addressees.length === 0) {
        const ended = await accepting.delivery(id);
        return ended === undefined ? { refused: 'unknown-message' } : { ok: ended };
      }
      const receipt = accepting.receiptOf(id, addressees);
      await new Promise<void>((resolve) => cycle.afterwards(resolve));
      return { ok: receipt };
    },
    outbox() {
      const open = new Map<string, Addressee[]>();
      for (const addressee of outbox.open()) {
        const key = toHex(addressee.message.id);
        open.set(key, [...(open.get(key) ?? []), addressee]);
      }
      return [...open.values()].flatMap((addressees) => {
        const [first] = addressees;
        if (first === undefined) return [];
        return [{ ...accepting.receiptOf(first.message.id, addressees), sentAt: first.message.sentAt }];
      });
    },
    inbox,
    log,
    farewell,
    groups: {
      async rotate(circle) {
        const had = groupSending.rotate(circle);
        await cycle.settled();
        return had;
      },
      coverage(circle) {
        const others = [...circleMembers(roster(), circle)].filter((id) => id !== self.id);
        return new Map(others.map((id) => [id, coverageOf(circle, id)]));
      },
    },
    inviting,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    status: () => ({
      online,
      fresh: gossip.isFresh(),
      counts: { ...counts },
      peers: [...peers.values()].map((peer) => ({
        deviceId: peer.id,
        sessions: peer.sessions.sessions.length,
        waiting: peer.pending.filter((addressee) => !addressee.over).length,
        inFlight: peer.inFlight.length,
        lastHeard: peer.contact.lastHeard,
        withheldSince: peer.vigil.withheldSince,
        lastError: peer.lastError,
      })),
      inbox: inbox.stats(),
      outbox: outbox.stats(),
      incidents: incidents.all(),
      quarantined: quarantine.size(),
    }),
    open() {
      keepHouse();
      transport.open({
        packet: (bytes) => receiving.packet(bytes),
        connected({ resumed }) {
          online = true;
          for (const peer of peers.values()) {
            // What the broker had not confirmed may be lost; and all of it, where it has forgotten us.
            const from = resumed ? (peer.outgoing?.published ?? 0) : (peer.outgoing?.through ?? 0);
            goBackTo(peer, from + 1);
            peer.held = false;
            peer.batchLimit = MAX_RECORDS;
          }
          contact.connected();
        },
        disconnected() {
          online = false;
          contact.disconnected();
        },
      });
    },
    settled: cycle.settled,
    async handedOver(patience) {
      await cycle.settled();
      const isDone = (): boolean => gossip.isQuiet() && dispatch.underWay() === 0;
      if (isDone()) return;
      await new Promise<void>((resolve) => {
        const end = (): void => {
          cancel();
          listeners.delete(look);
          resolve();
        };
        const look = (): void => {
          if (isDone()) end();
        };
        const cancel = clock.after(patience, end);
        listeners.add(look);
      });
    },
    async close() {
      housekeeping.cancel();
      gossip.stop();
      inviting.stop();
      contact.disconnected();
      receiving.drain();
      cycle.change('running', 'self', () => Math.floor(runningTime()));
      await cycle.settled();
      over = true;
      online = false;
      await transport.close();
      await cycle.settled();
      cycle.stop();
      dispose();
    },
    abandon() {
      over = true;
      online = false;
      gossip.stop();
      inviting.stop();
      housekeeping.cancel();
      contact.disconnected();
      cycle.stop();
      dispose();
    },
  };

  async function storedLots(
    store: Pick<MessagingPorts['keystore'], 'keys' | 'read'>,
  ): Promise<[(readonly [number, LotRecord])[], number]> {
    const lots: [number, LotRecord][] = [];
    for (const key of store.keys('lot')) {
      const record = await store.read('lot', key);
      if (record !== undefined) lots.push([Number(key), record]);
    }
    const last = lastLot(store.keys('lot'), store.keys('ended'));
    return [lots.sort(([a], [b]) => a - b), last];
  }

  async function storedPoison(
    store: Pick<MessagingPorts['keystore'], 'keys' | 'read'>,
  ): Promise<Map<string, PoisonRecord>> {
    const poison = new Map<string, PoisonRecord>();
    for (const key of store.keys('poison')) {
      const record = await store.read('poison', key);
      if (record !== undefined) poison.set(key, record);
    }
    return poison;
  }
}

function headMark({ author, sequence, hash }: Head): HeadMark {
  return { author: deviceIdBytes(author), sequence, hash: hashBytes(hash) };
}

export type { SendRefusal, SendRequest } from './accepting.ts';
export type { Receipt } from './outbox.ts';
