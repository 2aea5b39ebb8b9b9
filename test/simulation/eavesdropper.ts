/**
 * Somebody who keeps every ciphertext that stood beside a parcel, and every key of a group session that was given to
 * anybody, whether or not it ever arrived. Who can open what is compared with whom it was for: those whom the message
 * was addressed to and who were still in its circle, as far as its author knew, when it was encrypted.
 */
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { type Circle, circleMembers } from '../../src/entities/roster/circle.ts';
import type { Roster } from '../../src/entities/roster/roster.ts';
import { Secret } from '../../src/entities/secret.ts';
import type { GroupKey } from '../../src/entities/wire/group-items.ts';
import type { GroupRecord } from '../../src/entities/wire/records.ts';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import type { SimDevice } from './sim-device.ts';

/** A group session, and a key that reads all of it. */
export interface BegunSession {
  readonly owner: SimDevice;
  readonly id: Uint8Array;
  readonly key: Uint8Array;
}

/** A message as it stands in its author's outbox. */
export interface Addressed {
  readonly group: string | null;
  readonly to: ReadonlySet<string>;
}

interface Written {
  readonly session: string;
  readonly index: number;
  readonly ciphertext: Uint8Array;
  /** What its author held of the membership when it was encrypted. */
  readonly roster: Roster | undefined;
  readonly at: number;
  /** Once it has left. */
  readers?: ReadonlySet<string>;
}

interface Given {
  readonly to: DeviceId;
  readonly from: number;
  readonly key: Uint8Array;
  readonly at: number;
}

export interface Eavesdropper {
  begun(owner: SimDevice, id: Uint8Array, key: Uint8Array): BegunSession;
  wrote(author: SimDevice, session: Uint8Array, index: number, ciphertext: Uint8Array): void;
  /** From here on its owner may use the same places of a session once more, for others. */
  restored(owner: SimDevice): void;
  /** A key leaves, in something that only one device can read. */
  onKey(author: SimDevice, to: DeviceId, key: GroupKey): void;
  /** A record leaves that names a ciphertext, beside the parcel that it is in. */
  onRecord(author: SimDevice, record: GroupRecord, attached: ReadonlySet<string>): void;
  /** Every session that anybody has begun, the oldest first. */
  readonly sessions: readonly BegunSession[];
}

export interface EavesdropperParts {
  readonly engine: () => Engine;
  readonly hash: (bytes: Uint8Array) => Uint8Array;
  readonly nameOf: (device: DeviceId) => string;
  readonly fail: (problem: string) => void;
}

export function createEavesdropper({ engine, hash, nameOf, fail }: EavesdropperParts): Eavesdropper {
  const sessions: BegunSession[] = [];
  const owners = new Map<string, SimDevice>();
  const written = new Map<string, Written>();
  /** What has left, by session, and by session and index. */
  const shown = new Map<string, Written[]>();
  const given = new Map<string, Given[]>();
  const restores = new Map<SimDevice, number[]>();
  let ticks = 0;

  /** The engine decides whether it opens: a key may be a false one, though it has the right name. */
  function opens({ key }: Given, { ciphertext }: Written): boolean {
    const imported = engine().importGroupSession(new Secret(key.slice()));
    if ('refused' in imported) return false;
    const opened = imported.ok.decrypt(ciphertext);
    imported.ok.dispose();
    return 'ok' in opened;
  }

  /** An old copy of a device cannot know to whom it gave which key in the life that it has forgotten. */
  function isForgotten(session: string, one: number, other: number): boolean {
    const owner = owners.get(session);
    const [first, last] = one < other ? [one, other] : [other, one];
    const times = owner === undefined ? [] : (restores.get(owner) ?? []);
    return times.some((at) => first < at && at < last);
  }

  function compare(key: Given, text: Written): void {
    if (key.from > text.index || text.readers?.has(key.to) !== false) return;
    if (isForgotten(text.session, key.at, text.at) || !opens(key, text)) return;
    const owner = owners.get(text.session)?.name ?? 'nobody';
    fail(
      `groups, secrecy: ${nameOf(key.to)} can read message ${text.index} of a session of ${owner}, which was not for it`,
    );
  }

  function readersOf(author: SimDevice, { group, to }: Addressed, roster: Roster | undefined): Set<string> {
    const circle = roster === undefined ? new Set<string>() : circleMembers(roster, group as Circle);
    return new Set([author.party.id, ...[...to].filter((device) => circle.has(device as DeviceId))]);
  }

  function left(author: SimDevice, text: Written, addressed: Addressed): void {
    const own = shown.get(text.session) ?? [];
    shown.set(text.session, own);
    const before = own.find(({ index }) => index === text.index);
    if (before !== undefined && !isForgotten(text.session, before.at, text.at)) {
      fail(`groups: ${author.name} has encrypted two texts with one key of a group session`);
    }
    text.readers = readersOf(author, addressed, text.roster);
    own.push(text);
    for (const key of given.get(text.session) ?? []) compare(key, text);
  }

  return {
    sessions,

    begun(owner, id, key) {
      const session = { owner, id: id.slice(), key: key.slice() };
      sessions.push(session);
      owners.set(toHex(id), owner);
      return session;
    },

    wrote(author, id, index, ciphertext) {
      const { roster } = author.membership ?? {};
      const session = toHex(id);
      written.set(toHex(hash(ciphertext)), { session, index, ciphertext, roster, at: ++ticks });
    },

    restored(owner) {
      restores.set(owner, [...(restores.get(owner) ?? []), ++ticks]);
    },

    onKey(author, to, { session: id, key: bytes }) {
      const session = toHex(id);
      if (owners.get(session) !== author) {
        return fail(`groups, keys: ${author.name} gives away a key of another's session`);
      }
      const imported = engine().importGroupSession(new Secret(bytes.slice()));
      if ('refused' in imported) return fail(`groups, keys: ${author.name} sends a key that is none`);
      const key = { to, from: imported.ok.firstIndex, key: bytes.slice(), at: ++ticks };
      imported.ok.dispose();
      const all = given.get(session) ?? [];
      given.set(session, all);
      if (all.some((known) => known.to === to && known.from <= key.from && known.at > lastRestore(author))) {
        return;
      }
      all.push(key);
      for (const text of shown.get(session) ?? []) compare(key, text);
    },

    onRecord(author, { id, session, digest }, attached) {
      const name = toHex(digest);
      const text = written.get(name);
      const addressed = author.committed.messages.get(toHex(id));
      if (text === undefined || text.session !== toHex(session) || !attached.has(name)) {
        return fail(`groups: ${author.name} names a ciphertext that is not there`);
      }
      if (addressed === undefined) {
        return fail(`groups: ${author.name} has sent a message to a group before it was committed`);
      }
      if (text.readers === undefined) left(author, text, addressed);
    },
  };

  function lastRestore(owner: SimDevice): number {
    return restores.get(owner)?.at(-1) ?? 0;
  }
}
