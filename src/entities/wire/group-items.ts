/** The items of a parcel that are about the keys of group sessions. */
import { type Circle, parseCircle } from '../roster/circle.ts';
import type { Value } from './cbor.ts';
import { isBytes, isCount, isList, isListOf } from './envelope.ts';
import { GROUP_SESSION_BYTES } from './records.ts';

/** Keys, or names of keys, in one item. */
export const MAX_GROUP_KEYS = 64;
/** Version, index, ratchet and public key, as the engine exports them. */
const MAX_GROUP_KEY_BYTES = 256;

/** Keys of group sessions that the sender encrypts with, for the recipient to read what follows. */
export interface GroupKeysItem {
  readonly kind: 'group-keys';
  readonly keys: readonly GroupKey[];
}

export interface GroupKey {
  readonly circle: Circle;
  readonly session: Uint8Array;
  /** The ratchet from one index on. It is a secret, here and wherever it goes. */
  readonly key: Uint8Array;
}

/** Group sessions of the recipient whose keys the sender lacks. */
export interface GroupWantedItem {
  readonly kind: 'group-wanted';
  readonly sessions: readonly Uint8Array[];
}

/** Why there is no key for who asked: it is no member, not in that group, or the session is over. */
export type GroupDenial = 'revoked' | 'not-in-group' | 'unknown-session';
const DENIAL: readonly GroupDenial[] = ['revoked', 'not-in-group', 'unknown-session'];

export interface GroupDeniedItem {
  readonly kind: 'group-denied';
  readonly denied: readonly { readonly session: Uint8Array; readonly reason: GroupDenial }[];
}

export type GroupItem = GroupKeysItem | GroupWantedItem | GroupDeniedItem;

export const GROUP_ITEM = { keys: 7, wanted: 8, denied: 9 } as const;

export function groupItemFields(item: GroupItem): readonly Value[] {
  switch (item.kind) {
    case 'group-keys':
      return [GROUP_ITEM.keys, item.keys.map(({ circle, session, key }) => [circle, session, key])];
    case 'group-wanted':
      return [GROUP_ITEM.wanted, item.sessions];
    case 'group-denied':
      return [GROUP_ITEM.denied, item.denied.map(({ session, reason }) => [session, DENIAL.indexOf(reason)])];
  }
}

/** `undefined` where it is not as it has to be. */
export function readGroupItem(
  kind: (typeof GROUP_ITEM)[keyof typeof GROUP_ITEM],
  rest: readonly Value[],
): GroupItem | undefined {
  switch (kind) {
    case GROUP_ITEM.keys:
      return readGroupKeys(rest);
    case GROUP_ITEM.wanted: {
      const [sessions] = rest;
      if (rest.length !== 1 || !isListOf(sessions, MAX_GROUP_KEYS, isGroupSession)) return undefined;
      return { kind: 'group-wanted', sessions };
    }
    case GROUP_ITEM.denied:
      return readGroupDenied(rest);
  }
}

function isGroupSession(value: Value | undefined): value is Uint8Array {
  return isBytes(value, GROUP_SESSION_BYTES);
}

function readGroupKeys(rest: readonly Value[]): GroupKeysItem | undefined {
  const [list] = rest;
  if (rest.length !== 1 || !isListOf(list, MAX_GROUP_KEYS, isList)) return undefined;
  const keys: GroupKey[] = [];
  for (const [name, session, key, ...more] of list) {
    const circle = typeof name === 'string' ? parseCircle(name) : undefined;
    if (circle === undefined || !isGroupSession(session) || more.length > 0) return undefined;
    if (!isBytes(key) || key.length > MAX_GROUP_KEY_BYTES) return undefined;
    keys.push({ circle, session, key });
  }
  return { kind: 'group-keys', keys };
}

function readGroupDenied(rest: readonly Value[]): GroupDeniedItem | undefined {
  const [list] = rest;
  if (rest.length !== 1 || !isListOf(list, MAX_GROUP_KEYS, isList)) return undefined;
  const denied: { session: Uint8Array; reason: GroupDenial }[] = [];
  for (const [session, code, ...more] of list) {
    const reason = isCount(code) ? DENIAL[code] : undefined;
    if (reason === undefined || !isGroupSession(session) || more.length > 0) return undefined;
    denied.push({ session, reason });
  }
  return { kind: 'group-denied', denied };
}
