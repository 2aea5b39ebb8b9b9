/**
 * What a device keeps, by kind. Values are plain data: numbers, booleans, text, bytes, `null`, and arrays and
 * objects of these.
 */
import type { Pickle } from './engine.ts';

export interface Records {
  /** Key `self`: who this device is. */
  readonly identity: IdentityRecord;
  /** Key `self`: the keys of this device. */
  readonly account: Pickle;
  /** Key: the hash of a membership entry in hexadecimal. */
  readonly entry: EntryRecord;
  /** Key `self`: when a peer last showed what it holds of the membership, freshly. */
  readonly synchronised: SynchronisedRecord;
  /** Key `self`: there once this device was removed or has left; who knows of it. */
  readonly farewell: FarewellRecord;
  /** Key: a setting's name. */
  readonly setting: string;
  /** Key: a device id. All that this device shares with that one, but the ratchets. */
  readonly pair: PairRecord;
  /** Key: a session id in hexadecimal. */
  readonly ratchet: Pickle;
  /** Key: a circle: `all`, or a group's id. The group session that this device encrypts in for it. */
  readonly 'group-sending': GroupSendingRecord;
  /** Key: a device id, a dot, and the id of a group session of that device. */
  readonly 'group-key': GroupKeyRecord;
  /** Key: a number. Messages that were accepted in one step. */
  readonly lot: LotRecord;
  /** Key: the lot's number. Their payloads, in the same order. */
  readonly goods: readonly Uint8Array[];
  /** Key: the lot's number and the running time at which it ended: see `ended`. How its messages have ended. */
  readonly ended: EndedRecord;
  /** Key: a message id that the caller chose. The number of its lot. */
  readonly chosen: number;
  /** Key: its number, its bytes and the running time at which it came: see `inbox`. */
  readonly inbox: InboxRecord;
  /** Key: a cursor's name. The next message that its reader is to get. */
  readonly cursor: CursorRecord;
  /** Key `self`: how long this device has been running in all its runs, in milliseconds. */
  readonly running: number;
  /** Key: the hash of a packet in hexadecimal. How often it has brought the program down. */
  readonly poison: PoisonRecord;
  /** Key: an incident's number. What people should know and might have missed. */
  readonly incident: IncidentRecord;
  /** Key: the tag of an invite in hexadecimal. */
  readonly invite: InviteRecord;
  /** Key `self`: the pairings that went wrong here of late. */
  readonly claims: ClaimsRecord;
  /** Key `self`: the mesh that this device is about to join. */
  readonly joining: JoiningRecord;
}

export interface EntryRecord {
  /** Its place in the order of admission: only in that order does a log show that it is whole. */
  readonly order: number;
  /** As they came. */
  readonly bytes: Uint8Array;
}

export interface SynchronisedRecord {
  /** By this device's clock; nothing but the age of this is ever asked for. */
  readonly at: number;
}

export interface FarewellRecord {
  /** Entries that say so, as they came in a notice: they may build on what is not held here. */
  readonly told: readonly Uint8Array[];
  /** Ids of the members that have said that they know. */
  readonly answered: readonly string[];
}

export interface IdentityRecord {
  readonly name: string;
  /** Under which all ratchets are pickled. */
  readonly pickleKey: Uint8Array;
  readonly createdAt: number;
}

export interface PairRecord {
  readonly sessions: readonly SessionRecord[];
  readonly retired: readonly string[];
  /** One-time keys of theirs that we may use, and those of ours that are out with them. */
  readonly theirKeys: readonly Uint8Array[];
  readonly ourKeys: readonly Uint8Array[];
  /** Numbers of signed envelopes. */
  readonly serial: number;
  readonly seenSerials: readonly (readonly number[])[];
  readonly outgoing: OutgoingRecord | null;
  readonly incoming: IncomingRecord | null;
  /** Streams of theirs that were replaced by the one that is received now. */
  readonly formerIncoming: readonly Uint8Array[];
  /** True until the peer has said what it holds, after this device was found to be an old copy of itself. */
  readonly frozen: boolean;
}

export interface SessionRecord {
  readonly id: string;
  readonly ours: boolean;
  readonly secret: Uint8Array;
  readonly established: boolean;
  readonly sent: number;
  readonly seen: readonly (readonly number[])[];
}

export interface OutgoingRecord {
  readonly id: Uint8Array;
  readonly next: number;
  readonly through: number;
  readonly throughRun: Uint8Array;
  readonly offered: number;
  readonly published: number;
}

export interface IncomingRecord {
  readonly id: Uint8Array;
  readonly through: number;
  readonly low: number;
  readonly line: readonly (readonly [Uint8Array, number])[];
  readonly skipped: readonly number[];
  readonly refused: readonly number[];
}

export interface GroupSendingRecord {
  readonly id: string;
  readonly startedAt: number;
  readonly messages: number;
  readonly holders: readonly {
    readonly device: string;
    readonly from: number;
    readonly confirmed: boolean;
  }[];
  readonly pickle: Pickle;
  /** The same session as its readers have it, from its first message on. */
  readonly reader: Pickle;
}

export interface GroupKeyRecord {
  readonly circle: string;
  readonly firstIndex: number;
  readonly seen: readonly (readonly number[])[];
  readonly pickle: Pickle;
  /** In running time. */
  readonly replacedAt: number | null;
}

export interface LotRecord {
  /** The run that accepted it, and gave its numbers. */
  readonly run: Uint8Array;
  readonly messages: readonly MessageRecord[];
}

export interface MessageRecord {
  readonly id: Uint8Array;
  readonly sentAt: number;
  /** In running time. */
  readonly expiresAt: number;
  readonly type: string;
  readonly thread: string | null;
  readonly group: string | null;
  readonly bytes: number;
  readonly to: readonly AddresseeRecord[];
}

export interface AddresseeRecord {
  readonly device: string;
  readonly stream: Uint8Array;
  readonly number: number;
  /** The run that gave the number, where that is not the lot's. */
  readonly run: Uint8Array | null;
  /** How it ended, or what it is to end as once the recipient has answered; `null` while it is on its way. */
  readonly end: DeliveryEnd | null;
  readonly over: boolean;
  readonly mayHaveArrived: boolean;
  readonly reason: string | null;
  /** As far as it was known when this was written; see `lot`. Stores of earlier versions hold none. */
  readonly attempts?: number;
}

export type DeliveryEnd = 'delivered' | 'expired' | 'failed' | 'cancelled';

export interface EndedRecord {
  /** In running time. */
  readonly endedAt: number;
  readonly messages: readonly MessageRecord[];
}

export interface InboxRecord {
  readonly from: string;
  readonly stream: Uint8Array;
  readonly receivedAt: number;
  readonly messages: readonly InboxMessageRecord[];
}

export interface InboxMessageRecord {
  readonly id: Uint8Array;
  readonly number: number;
  readonly sentAt: number;
  readonly type: string;
  readonly thread: string | null;
  readonly group: string | null;
  readonly payload: Uint8Array;
}

export interface CursorRecord {
  readonly batch: number;
  readonly index: number;
}

export interface PoisonRecord {
  readonly attempts: number;
  readonly lastAt: number;
  /** The packet itself, once it is quarantined. */
  readonly packet: Uint8Array | null;
}

export interface IncidentRecord {
  readonly at: number;
  readonly what: string;
  readonly device: string | null;
  readonly count: number;
  /** When it began, where it lasted some time. */
  readonly since?: number;
}

export interface InviteRecord {
  /** The bytes of the link, secret and all. */
  readonly link: Uint8Array;
  readonly createdAt: number;
  /** How far it has come: see `invite-book`. */
  readonly state: string;
  /** Why it has ended, where it has; and when it was joined with or ended. */
  readonly reason: string | null;
  readonly endedAt: number | null;
  readonly claim: ClaimRecord | null;
}

/** Who uses an invite, and how far the two have come. */
export interface ClaimRecord {
  readonly signing: Uint8Array;
  readonly agreement: Uint8Array;
  readonly name: string;
  readonly sessionId: Uint8Array;
  /** `null` once nothing more is to be said in it. */
  readonly session: Pickle | null;
  readonly commitment: Uint8Array;
  /** Plaintexts, for the transcript. */
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  /** Hash of the transcript, once it is complete. */
  readonly transcript: Uint8Array | null;
  /** So many entries of the log went out with the code. */
  readonly entriesSent: number;
  /** Hash of the last packet that meant something, and the packets that answer it. */
  readonly heard: Uint8Array;
  readonly began: Uint8Array;
  readonly answer: readonly Uint8Array[];
}

export interface ClaimsRecord {
  /** By this device's clock, as far as they still count. */
  readonly failedAt: readonly number[];
}

export interface JoiningRecord {
  readonly link: Uint8Array;
  readonly name: string;
  /** What the person set for the broker of the new mesh, by the names of settings. */
  readonly settings: readonly (readonly [key: string, value: string])[];
  /** How far it has come: see `joining`. */
  readonly state: string;
  /** When it came so far, by this device's clock. */
  readonly at: number;
  readonly nonce: Uint8Array;
  readonly session: Pickle;
  readonly first: Uint8Array;
  /** Once the inviter has answered: the mesh's id, and the hash of the transcript. */
  readonly mesh: Uint8Array | null;
  readonly transcript: Uint8Array | null;
  /** The log as the inviter sent it, and the one-time keys that are reserved for it: once the code was typed. */
  readonly entries: readonly Uint8Array[];
  readonly ourKeys: readonly Uint8Array[];
  /** The packet that is repeated until it is answered. */
  readonly packet: Uint8Array;
}
