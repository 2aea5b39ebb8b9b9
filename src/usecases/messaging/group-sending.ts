/**
 * The group sessions that this device encrypts in: one for each circle that it sends to. A message is encrypted once
 * for all of them, at the time when the first of them is to get it.
 *
 * Whoever can read what is encrypted was addressed by it. So a message is encrypted for its circle only while
 * nobody is in it to whom it was not addressed; else it goes to each of its recipients by itself. And all sessions of
 * a circle end in the step in which somebody comes into it or is taken out of it.
 *
 * Ciphertexts are not stored: what has to be sent again and is no longer here is encrypted again. A session that has
 * served long enough is not stored any more either, and is kept in memory while a ciphertext of it is.
 *
 * One closure, though long: whatever ends a session has to let go of its ciphertexts, its handles and its record.
 */
import { fromHex, toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import {
  type GroupSessionId,
  groupContext,
  type Holder,
  hasServed,
  isOther,
  type SentGroupSession,
} from '../../entities/group-session.ts';
import { type Circle, circleMembers } from '../../entities/roster/circle.ts';
import type { Roster } from '../../entities/roster/roster.ts';
import type { Secret } from '../../entities/secret.ts';
import type { GroupDenial, GroupKey } from '../../entities/wire/group-items.ts';
import { encodeGroupText } from '../../entities/wire/group-text.ts';
import { SALT_BYTES } from '../../entities/wire/parcel.ts';
import type { GroupRecord } from '../../entities/wire/records.ts';
import type { InboundGroupSession, OutboundGroupSession, Pickle } from '../ports/engine.ts';
import type { GroupSendingRecord } from '../ports/records.ts';
import { type Message, NOT_IN_GROUP, type SealedIn } from './lot.ts';
import type { Office } from './office.ts';
import type { Peer } from './peer.ts';

/** Of all sessions together. */
const CIPHERTEXT_BYTES = 16 * 1024 * 1024;

export interface ForCircle {
  readonly record: GroupRecord;
  readonly ciphertext: Uint8Array;
  readonly session: GroupSessionId;
  readonly index: number;
}

export interface GroupSending {
  /** The message as its circle gets it; `undefined` where it has to go to each of its recipients by itself. */
  seal(message: Message, payload: Uint8Array): ForCircle | undefined;
  /** The keys without which this peer could not read these. */
  keysFor(peer: Peer, beside: readonly ForCircle[]): readonly GroupKey[];
  /** The key that this peer asks for, or why it does not get it. */
  answer(peer: Peer, session: Uint8Array): GroupKey | GroupDenial;
  /** The peer has acknowledged this. */
  confirmed(device: DeviceId, sealed: SealedIn): void;
  /** The message is over for everybody. */
  forget(message: Message): void;
  grown(before: Roster, now: Roster): void;
  /** Gives up the sessions of a circle; false where there is none. */
  rotate(circle: Circle): boolean;
  /** This device is an old copy of itself: what it holds may have been used before. */
  rotateAll(): void;
  /** What a device has of the session in which the circle's next message goes. */
  holderOf(circle: Circle, device: DeviceId): Holder | undefined;
  load(): Promise<void>;
  dispose(): void;
}

/** A session, with what it is written with. */
interface Pen {
  session: SentGroupSession;
  readonly id: Uint8Array;
  /** In memory once it is needed. */
  live: OutboundGroupSession | undefined;
  pickle: Pickle | undefined;
  /** Reads from the first message on: others' keys are made from it. */
  reader: InboundGroupSession | undefined;
  readonly readerPickle: Pickle;
  /** The key that it last gave: most get theirs from the same message on, one after the other. */
  exported: { readonly index: number; readonly key: Secret } | undefined;
  /** How many ciphertexts of it are here. */
  sealed: number;
}

export function createGroupSending(office: Office, roster: () => Roster): GroupSending {
  const { engine, cycle, pickleKey, hash, randomness } = office;
  const pens = new Map<GroupSessionId, Pen>();
  /** Those in which the next message goes. */
  const current = new Map<Circle, Pen>();
  const contexts = new Map<Circle, Uint8Array>();
  /** By message id, the oldest first. */
  const sealed = new Map<string, ForCircle>();
  let bytesSealed = 0;
  let known: { readonly roster: Roster; readonly circles: Map<Circle, ReadonlySet<DeviceId>> } | undefined;

  /** Computed once per roster: it is asked for with every message. */
  function recipients(circle: Circle): ReadonlySet<DeviceId> {
    const now = roster();
    if (known?.roster !== now) known = { roster: now, circles: new Map() };
    const found = known.circles.get(circle);
    if (found !== undefined) return found;
    const made = new Set(circleMembers(now, circle));
    made.delete(office.self.id);
    known.circles.set(circle, made);
    return made;
  }

  /** Computed once, for it stands in every text for the circle. */
  function contextOf(circle: Circle): Uint8Array {
    const found = contexts.get(circle);
    if (found !== undefined) return found;
    const made = groupContext(hash, office.mesh, office.self.id, circle);
    contexts.set(circle, made);
    return made;
  }

  function changed({ session: { circle } }: Pen): void {
    cycle.change('group-sending', circle, () => {
      const pen = current.get(circle);
      return pen === undefined ? undefined : toRecord(pen);
    });
  }

  function toRecord(pen: Pen): GroupSendingRecord {
    if (pen.live !== undefined) pen.pickle = pen.live.pickle(pickleKey);
    const { id, startedAt, messages, holders } = pen.session;
    return {
      id,
      startedAt,
      messages,
      holders: [...holders].map(([device, { from, confirmed }]) => ({ device, from, confirmed })),
      pickle: stored(pen),
      reader: pen.readerPickle,
    };
  }

  function live(pen: Pen): OutboundGroupSession {
    pen.live ??= engine.restoreOutboundGroupSession(stored(pen), pickleKey);
    return pen.live;
  }

  function begin(circle: Circle): Pen {
    const session = engine.createGroupSession();
    const key = session.shareKey();
    const reader = engine.acceptGroupSession(key);
    key.wipe();
    if ('refused' in reader) throw new Error('the key of our own group session is refused');
    const { id } = session;
    const name = toHex(id) as GroupSessionId;
    const startedAt = Math.floor(office.clock.now());
    const pen: Pen = {
      session: { id: name, circle, startedAt, messages: 0, holders: new Map() },
      id,
      live: session,
      pickle: undefined,
      reader: reader.ok,
      readerPickle: reader.ok.pickle(pickleKey),
      exported: undefined,
      sealed: 0,
    };
    pens.set(name, pen);
    current.set(circle, pen);
    changed(pen);
    return pen;
  }

  /** The session in which the next message for this circle goes. */
  function penFor(circle: Circle): Pen {
    const pen = current.get(circle);
    if (pen === undefined) return begin(circle);
    if (!hasServed(pen.session, office.clock.now())) return pen;
    pen.live?.dispose();
    pen.live = undefined;
    if (pen.sealed === 0) drop(pen);
    return begin(circle);
  }

  function drop(pen: Pen): void {
    const { id, circle } = pen.session;
    for (const peer of office.peers.values()) peer.groupKeysSent.delete(id);
    pens.delete(id);
    if (current.get(circle) === pen) current.delete(circle);
    pen.live?.dispose();
    pen.reader?.dispose();
    pen.live = undefined;
    pen.reader = undefined;
    pen.exported = undefined;
    changed(pen);
  }

  function endAll(circle: Circle): boolean {
    const ended = [...pens.values()].filter((pen) => pen.session.circle === circle);
    for (const [id, { session }] of sealed) if (pens.get(session)?.session.circle === circle) unseal(id);
    for (const pen of ended) drop(pen);
    return ended.length > 0;
  }

  function unseal(id: string): void {
    const made = sealed.get(id);
    if (made === undefined) return;
    sealed.delete(id);
    bytesSealed -= made.ciphertext.length;
    const pen = pens.get(made.session);
    if (pen === undefined) return;
    pen.sealed -= 1;
    if (pen.sealed === 0 && current.get(pen.session.circle) !== pen) drop(pen);
  }

  function encrypt(circle: Circle, message: Message, payload: Uint8Array): ForCircle {
    const pen = penFor(circle);
    const session = live(pen);
    const { id, sentAt, type, thread } = message;
    const context = contextOf(circle);
    const text = encodeGroupText(randomness(SALT_BYTES), { context, id, sentAt, type, thread, payload });
    const index = session.nextIndex;
    const ciphertext = session.encrypt(text);
    const record: GroupRecord = { kind: 'group', id, session: pen.id, digest: hash(ciphertext) };
    const made = { record, ciphertext, session: pen.session.id, index };
    sealed.set(toHex(id), made);
    bytesSealed += ciphertext.length;
    pen.sealed += 1;
    pen.session = { ...pen.session, messages: pen.session.messages + 1 };
    changed(pen);
    return made;
  }

  function hold(pen: Pen, device: DeviceId, holder: Holder): void {
    pen.session = { ...pen.session, holders: new Map(pen.session.holders).set(device, holder) };
    if (current.get(pen.session.circle) === pen) changed(pen);
  }

  function keyFrom(pen: Pen, index: number): GroupKey {
    pen.reader ??= engine.restoreInboundGroupSession(pen.readerPickle, pickleKey);
    if (pen.exported?.index !== index) {
      const key = pen.reader.exportFrom(index);
      if (key === undefined) throw new Error('a group session begins later than its own first message');
      pen.exported = { index, key };
    }
    return { circle: pen.session.circle, session: pen.id, key: pen.exported.key.expose() };
  }

  return {
    seal(message, payload) {
      const { group } = message;
      if (group === null) return undefined;
      // Those from whom it was withdrawn may be in the circle again, and are not to have it for that.
      const still = message.to.filter(({ reason }) => reason !== NOT_IN_GROUP);
      const addressed = new Set(still.map(({ device }) => device));
      for (const device of recipients(group)) if (!addressed.has(device)) return undefined;
      return sealed.get(toHex(message.id)) ?? encrypt(group, message, payload);
    },

    keysFor(peer, beside) {
      const first = new Map<GroupSessionId, number>();
      for (const { session, index } of beside) {
        first.set(session, Math.min(first.get(session) ?? index, index));
      }
      const keys: GroupKey[] = [];
      for (const [session, index] of first) {
        const pen = pens.get(session);
        if (pen === undefined) throw new Error('a ciphertext of a group session that is over');
        const holder = pen.session.holders.get(peer.id);
        const has = holder !== undefined && holder.from <= index;
        if (has && (holder.confirmed || peer.groupKeysSent.has(session))) continue;
        const from = Math.min(holder?.from ?? index, index);
        if (!has) hold(pen, peer.id, { from, confirmed: false });
        peer.groupKeysSent.add(session);
        keys.push(keyFrom(pen, from));
      }
      for (const id of sealed.keys()) {
        if (bytesSealed <= CIPHERTEXT_BYTES) break;
        unseal(id);
      }
      return keys;
    },

    answer(peer, session) {
      if (!office.isSibling(peer)) return 'revoked';
      const pen = pens.get(toHex(session) as GroupSessionId);
      if (pen === undefined) return 'unknown-session';
      if (!recipients(pen.session.circle).has(peer.id)) return 'not-in-group';
      const holder = pen.session.holders.get(peer.id);
      // It was sent nothing in this session, so there is nothing that it could not read.
      return holder === undefined ? 'unknown-session' : keyFrom(pen, holder.from);
    },

    confirmed(device, { session, index }) {
      const pen = pens.get(session);
      const holder = pen?.session.holders.get(device);
      if (pen === undefined || holder === undefined || holder.confirmed) return;
      // What it has read before the last that it was given may have taken a key from a later index on.
      if (index > holder.from) return;
      hold(pen, device, { ...holder, confirmed: true });
    },

    forget: ({ id }) => unseal(toHex(id)),

    grown(before, now) {
      for (const circle of new Set([...pens.values()].map((pen) => pen.session.circle))) {
        if (isOther(circleMembers(before, circle), circleMembers(now, circle))) endAll(circle);
      }
    },

    rotate: endAll,

    rotateAll() {
      for (const { session } of [...pens.values()]) endAll(session.circle);
    },

    holderOf: (circle, device) => current.get(circle)?.session.holders.get(device),

    async load() {
      for (const key of office.keystore.keys('group-sending')) {
        const record = await office.keystore.read('group-sending', key);
        if (record !== undefined) adopt(key as Circle, record);
      }
    },

    dispose() {
      for (const pen of pens.values()) {
        pen.live?.dispose();
        pen.reader?.dispose();
      }
    },
  };

  function adopt(circle: Circle, record: GroupSendingRecord): void {
    const id = record.id as GroupSessionId;
    const { startedAt, messages, pickle, reader } = record;
    const holders = new Map<DeviceId, Holder>();
    for (const { device, from, confirmed } of record.holders) {
      holders.set(device as DeviceId, { from, confirmed });
    }
    const bytes = fromHex(id);
    if (bytes === undefined) throw new MeshError('store-damaged', { detail: 'a group session has no id' });
    const pen: Pen = {
      session: { id, circle, startedAt, messages, holders },
      id: bytes,
      live: undefined,
      pickle,
      reader: undefined,
      readerPickle: reader,
      exported: undefined,
      sealed: 0,
    };
    pens.set(id, pen);
    current.set(circle, pen);
  }
}

function stored({ pickle }: Pen): Pickle {
  if (pickle === undefined) throw new Error('a group session that is neither in memory nor stored');
  return pickle;
}
