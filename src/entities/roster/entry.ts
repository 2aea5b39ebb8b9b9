/**
 * The entries of the membership log. Each device writes a chain of its own: numbered from 1, every entry naming
 * the one before it by hash. Entries of unknown kinds are kept, chained and passed on like any other.
 */

import { fromHex, toHex } from '../bytes.ts';
import { type Hash, labelledHash } from '../crypto.ts';
import type { DeviceId } from '../device-id.ts';
import type { DeviceName } from '../device-name.ts';
import type { DeviceKeys } from '../keys.ts';
import type { MeshId } from '../mesh-id.ts';
import type { Value } from '../wire/cbor.ts';

export const HASH_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const ENTRY_VERSION = 1;

export const ENTRY_MAX_BYTES = 32 * 1024;
/** A chain that reaches this number ends. An honest device writes a few entries in a month. */
export const SEQUENCE_MAX = 2 ** 20;
export const HEADS_MAX = 128;
export const CONFIRM_APPLIED_MAX = 128;
export const CONFIRM_HEADS_MAX = 512;
export const REPLACES_MAX = 32;
export const GROUP_DEVICES_MAX = 64;
export const GROUP_ADDS_MAX = 256;
export const NAME_MAX_BYTES = 256;

/** 64 lower-case hex characters. Names the content of an entry, whoever's signature stands under it. */
export type EntryHash = string & { readonly __brand: 'entry hash' };
/** A group is named by the entry that created it. */
export type GroupId = EntryHash;

/**
 * Who signed. Devices are the only signers so far; the kind is on the wire so that another (a recovery key on
 * paper) can come without a new format.
 */
export interface Author {
  readonly kind: 'device';
  readonly id: DeviceId;
}

/** The wire's numbers. A number is never used again for something else. */
export const KIND_NUMBERS = {
  genesis: 0,
  add: 1,
  revoke: 2,
  leave: 3,
  confirm: 4,
  rename: 5,
  'group-create': 16,
  'group-add': 17,
  'group-remove': 18,
  'group-rename': 19,
  'group-delete': 20,
} as const;

export type KnownKind = keyof typeof KIND_NUMBERS;
export const KIND_MAX = 0xffff;

export type RevokeReason = 'lost' | 'retired' | 'other';

/** `undefined` is a name that is not fit to be shown here. It never makes an entry invalid: see the codec. */
export type WrittenName = DeviceName | undefined;

export interface GenesisBody {
  readonly kind: 'genesis';
  readonly keys: DeviceKeys;
  readonly name: WrittenName;
  /** Makes two meshes of one device different. */
  readonly salt: Uint8Array;
}

export interface AddBody {
  readonly kind: 'add';
  /** Derived from the keys, which are what is on the wire. */
  readonly device: DeviceId;
  readonly keys: DeviceKeys;
  readonly name: WrittenName;
  readonly transcript: Uint8Array;
  readonly consent: Uint8Array;
}

export interface RevokeBody {
  readonly kind: 'revoke';
  readonly target: DeviceId;
  /** The target's last accepted entry; `null` where it has written none, or none shall count. */
  readonly cut: EntryHash | null;
  readonly reason: RevokeReason;
}

/** A revocation of the author, cut at this entry itself. */
export interface LeaveBody {
  readonly kind: 'leave';
}

export interface ConfirmBody {
  readonly kind: 'confirm';
  /** The revocations, and the pairs of entries that prove a fork, which the author has applied. */
  readonly applied: readonly EntryHash[];
  /** The last entry of every chain that the author held then. */
  readonly heads: readonly EntryHash[];
}

export interface RenameBody {
  readonly kind: 'rename';
  readonly target: DeviceId;
  readonly name: WrittenName;
  readonly replaces: readonly EntryHash[];
}

export interface GroupCreateBody {
  readonly kind: 'group-create';
  readonly name: WrittenName;
}

export interface GroupAddBody {
  readonly kind: 'group-add';
  readonly group: GroupId;
  readonly devices: readonly DeviceId[];
}

export interface GroupRemoveBody {
  readonly kind: 'group-remove';
  readonly group: GroupId;
  readonly devices: readonly DeviceId[];
  /** The additions that this removal saw; a later addition counts again. */
  readonly adds: readonly EntryHash[];
}

export interface GroupRenameBody {
  readonly kind: 'group-rename';
  readonly group: GroupId;
  readonly name: WrittenName;
  readonly replaces: readonly EntryHash[];
}

export interface GroupDeleteBody {
  readonly kind: 'group-delete';
  readonly group: GroupId;
}

export interface UnknownBody {
  readonly kind: 'unknown';
  readonly number: number;
  readonly value: Value;
}

export type Body =
  | GenesisBody
  | AddBody
  | RevokeBody
  | LeaveBody
  | ConfirmBody
  | RenameBody
  | GroupCreateBody
  | GroupAddBody
  | GroupRemoveBody
  | GroupRenameBody
  | GroupDeleteBody
  | UnknownBody;

/** What its author says; the signature is over the hash of exactly this. */
export interface Content<AnyBody extends Body = Body> {
  /** `null` in GENESIS, whose hash is what the mesh id is made from. */
  readonly mesh: MeshId | null;
  readonly author: Author;
  readonly sequence: number;
  readonly previous: EntryHash | null;
  /** Entries that no other entry known to the author had named. A claim, for people and for diagnosis. */
  readonly heads: readonly EntryHash[];
  readonly body: AnyBody;
  /** Milliseconds since 1970 on the author's clock. For people: no rule looks at it. */
  readonly createdAt: number;
}

export interface Entry<AnyBody extends Body = Body> extends Content<AnyBody> {
  readonly hash: EntryHash;
  readonly signature: Uint8Array;
  /** As it came, and as it is passed on. */
  readonly bytes: Uint8Array;
}

/** In the order of admission. */
export type Log = ReadonlyMap<EntryHash, Entry>;

export const ENTRY_LABEL = 'entry v1';
const MESH_LABEL = 'mesh id v1';

/**
 * Ed25519 signatures can be made anew, and by some verifiers' reading altered, without a change of what is
 * signed. So the hash covers the content only: a second signature is the same entry again, never a fork.
 */
export function hashContent(hash: Hash, content: Uint8Array): EntryHash {
  return toHex(labelledHash(hash, ENTRY_LABEL, content)) as EntryHash;
}

export function deriveMeshId(hash: Hash, genesis: EntryHash): MeshId {
  return toHex(labelledHash(hash, MESH_LABEL, hashBytes(genesis))) as MeshId;
}

export function entryHashFromBytes(bytes: Uint8Array): EntryHash | undefined {
  return bytes.length === HASH_BYTES ? (toHex(bytes) as EntryHash) : undefined;
}

export function hashBytes(hash: EntryHash): Uint8Array {
  const bytes = fromHex(hash);
  if (bytes === undefined) throw new Error('a hash that does not decode was given a type');
  return bytes;
}

/** Narrows an entry to the kind of its body. */
export function isKind<Kind extends Body['kind']>(
  entry: Entry,
  kind: Kind,
): entry is Entry<Extract<Body, { kind: Kind }>> {
  return entry.body.kind === kind;
}
