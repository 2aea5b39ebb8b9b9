/**
 * The group sessions of others, as far as they gave this device the keys. A key counts only for the sessions of the
 * device that it came from, and each message of a session is read once, whatever becomes of the program.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import {
  type GroupSessionId,
  groupContext,
  REPLACED_KEPT,
  type ReceivedGroupSession,
  readGroupMessage,
  receiveGroupKey,
} from '../../entities/group-session.ts';
import type { Result } from '../../entities/result.ts';
import type { Circle } from '../../entities/roster/circle.ts';
import { Secret } from '../../entities/secret.ts';
import { type GroupKey, MAX_GROUP_KEYS } from '../../entities/wire/group-items.ts';
import { decodeGroupText } from '../../entities/wire/group-text.ts';
import type { ContentRecord, GroupRecord } from '../../entities/wire/records.ts';
import type { InboundGroupSession, Pickle } from '../ports/engine.ts';
import type { Office } from './office.ts';
import type { Peer } from './peer.ts';

/** The owner may be asked again for the key of a session after so long. */
const ASK_AGAIN = 30_000;
const MOST_ASKED = 256;
/** Of each owner: the newest of each circle, and those before it whose messages may still be on their way. */
const MOST_HELD = 256;
const MOST_REPLACED = 16;
const MAX_LIVE = 32;

export type GroupRefusal =
  | 'group-ciphertext-missing'
  | 'group-undecryptable'
  | 'group-message-replayed'
  | 'group-id-mismatch'
  | 'group-text-malformed'
  | 'group-context-mismatch'
  | 'cbor-malformed'
  | 'cbor-too-large'
  | 'cbor-too-deep';

/** What stood beside a parcel, by its hash in hexadecimal. */
export type Beside = ReadonlyMap<string, Uint8Array>;

export interface GroupReading {
  onKey(peer: Peer, key: GroupKey): void;
  hasKey(peer: Peer, session: Uint8Array): boolean;
  /** Asks the owner for a key that is missing here, unless it was asked just now. */
  ask(peer: Peer, session: Uint8Array): void;
  /** The payload of a record, which from then on cannot be read again. */
  read(peer: Peer, record: GroupRecord, beside: Beside): Result<ContentRecord, GroupRefusal>;
  /** Whether messages of this device for this circle can be read here. */
  reads(owner: DeviceId, circle: Circle): boolean;
  /** The owner is no longer a peer. */
  discharge(owner: DeviceId): void;
  /** Lets go of what was replaced long ago. */
  sweep(): void;
  load(): Promise<void>;
  dispose(): void;
}

interface Held {
  session: ReceivedGroupSession;
  pickle: Pickle;
  /** In running time, since when the owner uses another session for this circle. */
  replacedAt: number | null;
}

export function createGroupReading(office: Office): GroupReading {
  const { engine, cycle, pickleKey, clock } = office;
  /** In the order in which they came; by owner and session. */
  const held = new Map<string, Held>();
  /** Those in the engine's memory, the one that was not used for longest first. */
  const alive = new Map<string, InboundGroupSession>();
  const askNotBefore = new Map<string, number>();

  const nameOf = (owner: DeviceId, session: Uint8Array): string => `${owner}.${toHex(session)}`;

  function changed(name: string): void {
    cycle.change('group-key', name, () => {
      const entry = held.get(name);
      if (entry === undefined) return undefined;
      const { circle, firstIndex, seen } = entry.session;
      return { circle, firstIndex, seen, pickle: entry.pickle, replacedAt: entry.replacedAt };
    });
  }

  function drop(name: string): void {
    alive.get(name)?.dispose();
    alive.delete(name);
    held.delete(name);
    changed(name);
  }

  function live(name: string, { pickle }: Held): InboundGroupSession {
    const session = alive.get(name) ?? engine.restoreInboundGroupSession(pickle, pickleKey);
    enliven(name, session);
    return session;
  }

  /** Puts it to the end of the order in which room is made. */
  function enliven(name: string, session: InboundGroupSession): void {
    alive.delete(name);
    alive.set(name, session);
    for (const [oldest, unused] of alive) {
      if (alive.size <= MAX_LIVE) return;
      alive.delete(oldest);
      unused.dispose();
    }
  }

  function ofOwner(owner: DeviceId): [string, Held][] {
    return [...held].filter(([, { session }]) => session.owner === owner);
  }

  /** The one that has just come is the one in use. */
  function replaceOthers(name: string, { session: { owner, circle } }: Held): void {
    const others = ofOwner(owner).filter(([other]) => other !== name);
    const sameCircle = others.filter(([, { session }]) => session.circle === circle);
    for (const [other, entry] of sameCircle) {
      if (entry.replacedAt !== null) continue;
      entry.replacedAt = Math.floor(office.runningTime());
      changed(other);
    }
    for (const [other] of sameCircle.slice(0, Math.max(0, sameCircle.length - MOST_REPLACED))) drop(other);
    for (const [other] of others.slice(0, Math.max(0, others.length + 1 - MOST_HELD))) drop(other);
  }

  return {
    onKey(peer, { circle, session: id, key }) {
      const imported = engine.importGroupSession(new Secret(key));
      if ('refused' in imported) return office.count('group-key-malformed');
      const session = imported.ok;
      if (!equal(session.id, id)) {
        session.dispose();
        return office.count('group-key-mismatch');
      }
      const name = nameOf(peer.id, id);
      const before = held.get(name);
      const offered = {
        id: toHex(id) as GroupSessionId,
        owner: peer.id,
        circle,
        firstIndex: session.firstIndex,
      };
      const received = receiveGroupKey(before?.session, offered);
      if ('refused' in received) {
        session.dispose();
        // It is repeated until its owner knows that it has arrived.
        return office.count(received.refused);
      }
      alive.get(name)?.dispose();
      alive.delete(name);
      const entry: Held = { session: received.ok, pickle: session.pickle(pickleKey), replacedAt: null };
      enliven(name, session);
      held.delete(name);
      held.set(name, entry);
      askNotBefore.delete(name);
      replaceOthers(name, entry);
      changed(name);
    },

    hasKey: (peer, session) => held.has(nameOf(peer.id, session)),

    ask(peer, session) {
      const name = nameOf(peer.id, session);
      const now = clock.elapsed();
      if (now < (askNotBefore.get(name) ?? 0) || peer.due.groupWanted.size >= MAX_GROUP_KEYS) return;
      askNotBefore.delete(name);
      askNotBefore.set(name, now + ASK_AGAIN);
      for (const oldest of askNotBefore.keys()) {
        if (askNotBefore.size <= MOST_ASKED) break;
        askNotBefore.delete(oldest);
      }
      peer.due.groupWanted.set(toHex(session), session);
      cycle.wake();
    },

    read(peer, { session: id, digest, id: messageId }, beside) {
      const name = nameOf(peer.id, id);
      const entry = held.get(name);
      if (entry === undefined) throw new Error('a record is read before its key is here');
      const ciphertext = beside.get(toHex(digest));
      if (ciphertext === undefined) return { refused: 'group-ciphertext-missing' };
      const opened = live(name, entry).decrypt(ciphertext);
      if ('refused' in opened) return { refused: 'group-undecryptable' };
      const read = readGroupMessage(entry.session, opened.ok.index);
      if ('refused' in read) return read;
      entry.session = read.ok;
      changed(name);
      const { circle } = entry.session;
      const context = groupContext(office.hash, office.mesh, peer.id, circle);
      const text = decodeGroupText(opened.ok.plaintext, context);
      if ('refused' in text) return text;
      if (!equal(text.ok.id, messageId)) return { refused: 'group-id-mismatch' };
      const { sentAt, type, thread, payload } = text.ok;
      return { ok: { kind: 'content', id: messageId, sentAt, type, thread, group: circle, payload } };
    },

    reads: (owner, circle) => {
      return ofOwner(owner).some(([, { session, replacedAt }]) => {
        return session.circle === circle && replacedAt === null;
      });
    },

    discharge(owner) {
      for (const [name] of ofOwner(owner)) drop(name);
    },

    sweep() {
      const now = office.runningTime();
      for (const [name, { replacedAt }] of [...held]) {
        if (replacedAt !== null && now - replacedAt >= REPLACED_KEPT) drop(name);
      }
    },

    async load() {
      const stored: (readonly [string, Held])[] = [];
      for (const name of office.keystore.keys('group-key')) {
        const record = await office.keystore.read('group-key', name);
        const [owner, id] = name.split('.');
        if (record === undefined || owner === undefined || id === undefined) continue;
        const { circle, firstIndex, seen, pickle, replacedAt } = record;
        stored.push([
          name,
          {
            session: {
              id: id as GroupSessionId,
              owner: owner as DeviceId,
              circle: circle as Circle,
              firstIndex,
              seen: seen.map(([first = 0, last = 0]) => [first, last] as const),
            },
            pickle,
            replacedAt,
          },
        ]);
      }
      const age = ({ replacedAt }: Held): number => replacedAt ?? Number.POSITIVE_INFINITY;
      stored.sort(([, a], [, b]) => (age(a) === age(b) ? 0 : age(a) - age(b)));
      for (const [name, entry] of stored) held.set(name, entry);
    },

    dispose() {
      for (const session of alive.values()) session.dispose();
    },
  };
}
