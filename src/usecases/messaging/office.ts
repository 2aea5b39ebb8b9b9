/**
 * What all parts of messaging share: who this device is, its peers, the ports, and the commit cycle through
 * which every change goes. Built once by `messenger`, which alone hands it around.
 */
import type { Cipher, Hash, Mac } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { MeshId } from '../../entities/mesh-id.ts';
import type { Party } from '../../entities/pair-keys.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
import type { Secret } from '../../entities/secret.ts';
import type { HeadMark } from '../../entities/wire/items.ts';
import type { CommitCycle } from '../commit-cycle.ts';
import type { LogChange } from '../membership/mesh-log.ts';
import type { Clock } from '../ports/clock.ts';
import type { Account, Engine } from '../ports/engine.ts';
import type { Keystore } from '../ports/keystore.ts';
import type { Randomness } from '../ports/randomness.ts';
import type { Transport } from '../ports/transport.ts';
import type { Peer } from './peer.ts';

export interface MessagingPorts {
  readonly engine: Engine;
  readonly hash: Hash;
  readonly mac: Mac;
  readonly cipher: Cipher;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly keystore: Keystore;
  readonly transport: Transport;
}

export interface Office extends MessagingPorts {
  readonly self: Party;
  readonly mesh: MeshId;
  readonly account: Account;
  readonly pickleKey: Secret;
  readonly cycle: CommitCycle;
  readonly peers: ReadonlyMap<DeviceId, Peer>;
  /** Names this life of the program: see `outgoing-stream`. */
  readonly run: Uint8Array;
  /** Digest of the roster, for every parcel, and its heads, for hellos. */
  rosterDigest(): Uint8Array;
  heads(): readonly HeadMark[];
  /** Whether this device and the peer are both members, so that messages pass between them. */
  isSibling(peer: Peer): boolean;
  /** The account's keys changed: it goes into the next commit. */
  accountChanged(): void;
  /** Milliseconds that this device has been running, in all its runs: no jump of a clock changes it. */
  runningTime(): number;
  isOnline(): boolean;
  /** Counts something that was dropped or refused, by its reason. */
  count(reason: string): void;
  /** Notes what people should know, and says it to whoever listens. */
  report(incident: Incident): void;
  tell(news: News): void;
  /** The process has to end: see `commit-cycle`. */
  fatal(error: unknown): void;
}

export interface Incident {
  readonly what:
    | 'rolled-back'
    | 'peer-rolled-back'
    | 'messages-lost'
    | 'messages-withheld'
    | 'peer-withheld'
    | 'packets-replayed'
    | 'packet-quarantined'
    | 'batch-quarantined'
    | 'inbox-full'
    | 'peer-inbox-full'
    | 'packet-too-large'
    | 'not-allowed'
    | 'forked';
  readonly device: DeviceId | null;
  readonly count: number;
  /** By this device's clock, where it lasted some time before it was noticed. */
  readonly since?: number;
}

export type News =
  | { readonly kind: 'received'; readonly from: DeviceId; readonly batch: number }
  | { readonly kind: 'delivery'; readonly id: Uint8Array; readonly device: DeviceId }
  | { readonly kind: 'alive'; readonly device: DeviceId }
  /** All that was handed to the broker was answered by it. */
  | { readonly kind: 'idle' }
  /** The roster changed. */
  | { readonly kind: 'membership'; readonly change: LogChange }
  /** This device was removed, or has left. */
  | { readonly kind: 'removed'; readonly how: 'removed' | 'left' }
  /** A member said that it knows that. */
  | { readonly kind: 'farewell'; readonly answered: readonly DeviceId[] }
  /** An invite of this device, named by its id, has come further. */
  | {
      readonly kind: 'invite';
      readonly id: string;
      readonly what: 'opened' | 'claimed' | 'verified' | 'joined' | 'ended';
      readonly device?: DeviceId;
      readonly name?: string;
      readonly reason?: AbortReason;
    }
  | { readonly kind: 'incident'; readonly incident: Incident };
