/** A joining that is not over: what it consists of, how it begins, and how it is kept. */
import type { Hash, Mac } from '../../entities/crypto.ts';
import { type DeviceName, parseDeviceName } from '../../entities/device-name.ts';
import { type MeshId, meshIdBytes, meshIdFromBytes } from '../../entities/mesh-id.ts';
import { decodeInviteLinkBytes, type InviteLink } from '../../entities/pairing/link.ts';
import {
  bundleSignable,
  encodeOpening,
  type FourthMessage,
  type SixthMessage,
} from '../../entities/pairing/messages.ts';
import {
  commitmentTo,
  linkHash,
  PAIRING_NONCE_BYTES,
  PAIRING_VERSION,
} from '../../entities/pairing/transcript.ts';
import type { LoadedDevice } from '../device/load-device.ts';
import type { Engine, Pickle } from '../ports/engine.ts';
import type { Keystore } from '../ports/keystore.ts';
import type { Randomness } from '../ports/randomness.ts';
import type { JoiningRecord } from '../ports/records.ts';
import { type PairingPackets, pairingPackets } from './packets.ts';
import { type PairingSession, pairingSession } from './pairing-session.ts';

/** What an earlier run has begun: for making the transport with which to go on. */
export async function pendingJoin(
  hash: Hash,
  keystore: Pick<Keystore, 'read'>,
): Promise<PendingJoin | undefined> {
  const record = await keystore.read('joining', 'self');
  const link = record === undefined ? undefined : decodeInviteLinkBytes(hash, record.link);
  const name = record === undefined ? undefined : parseDeviceName(record.name);
  if (record === undefined || link === undefined || 'refused' in link) return undefined;
  if (name === undefined || 'refused' in name) return undefined;
  return {
    link: link.ok,
    name: name.ok,
    settings: new Map(record.settings),
    consented: record.state === 'consented',
  };
}

export interface PendingJoin {
  readonly link: InviteLink;
  readonly name: DeviceName;
  readonly settings: ReadonlyMap<string, string>;
  /** This device may be a member already. */
  readonly consented: boolean;
}

export type JoinState = 'claiming' | 'comparing' | 'consented';

export interface HeldJoin {
  readonly link: InviteLink;
  readonly linkBytes: Uint8Array;
  readonly packets: PairingPackets;
  readonly name: string;
  readonly settings: readonly (readonly [string, string])[];
  readonly nonce: Uint8Array;
  readonly first: Uint8Array;
  state: JoinState;
  /** When the state began, by this device's clock. */
  at: number;
  session: PairingSession;
  /** The session as it was when the state began: the messages of one state are read from there on. */
  base: Pickle;
  mesh: MeshId | undefined;
  transcript: Uint8Array | undefined;
  entries: readonly Uint8Array[];
  ourKeys: readonly Uint8Array[];
  packet: Uint8Array;
  /** Parts of the fourth or the sixth message, and the packets that have been read. */
  readonly gathered: Map<number, FourthMessage | SixthMessage>;
  readonly read: Set<string>;
}

export interface PendingParts {
  readonly engine: Engine;
  readonly hash: Hash;
  readonly mac: Mac;
  readonly randomness: Randomness;
  readonly device: Pick<LoadedDevice, 'self' | 'account' | 'pickleKey'>;
  readonly name: DeviceName;
}

export function beginJoin(
  parts: PendingParts,
  link: InviteLink,
  linkBytes: Uint8Array,
  settings: HeldJoin['settings'],
): HeldJoin {
  const { engine, hash, mac, randomness, name } = parts;
  const { self, account, pickleKey } = parts.device;
  const { inviter, secret, oneTimeKey } = link;
  const nonce = randomness(PAIRING_NONCE_BYTES);
  const bundle = {
    step: 1,
    versions: [PAIRING_VERSION],
    keys: self.keys,
    name,
    commitment: commitmentTo(hash, self.id, nonce),
    link: linkHash(hash, linkBytes),
  } as const;
  const session = pairingSession(engine, pickleKey, account.startSession(inviter.keys.agreement, oneTimeKey));
  const signature = account.sign(bundleSignable(hash, inviter.id, bundle));
  const first = session.seal({ ...bundle, signature });
  const packets = pairingPackets({ hash, mac, self: self.id, inviter: inviter.id, secret });
  return {
    link,
    linkBytes,
    packets,
    name,
    settings,
    nonce,
    first: first.text,
    state: 'claiming',
    at: 0,
    session,
    base: session.pickle(),
    mesh: undefined,
    transcript: undefined,
    entries: [],
    ourKeys: [],
    packet: packets.make(1, self.id, encodeOpening(self.keys.agreement, first.body)),
    gathered: new Map(),
    read: new Set(),
  };
}

/** `undefined` where the link is not one any more that this version reads. */
export function restoreJoin(
  { engine, hash, mac, device }: Omit<PendingParts, 'randomness' | 'name'>,
  record: JoiningRecord,
): HeldJoin | undefined {
  const { self, pickleKey } = device;
  const link = decodeInviteLinkBytes(hash, record.link);
  if ('refused' in link) return undefined;
  const { inviter, secret } = link.ok;
  return {
    link: link.ok,
    linkBytes: record.link,
    packets: pairingPackets({ hash, mac, self: self.id, inviter: inviter.id, secret }),
    name: record.name,
    settings: record.settings,
    nonce: record.nonce,
    first: record.first,
    state: stateOf(record.state),
    at: record.at,
    session: pairingSession(engine, pickleKey, engine.restoreSession(record.session, pickleKey)),
    base: record.session,
    mesh: record.mesh === null ? undefined : meshIdFromBytes(record.mesh),
    transcript: record.transcript ?? undefined,
    entries: record.entries,
    ourKeys: record.ourKeys,
    packet: record.packet,
    gathered: new Map(),
    read: new Set(),
  };
}

export function joiningRecord(now: HeldJoin): JoiningRecord {
  return {
    link: now.linkBytes,
    name: now.name,
    settings: now.settings,
    state: now.state,
    at: now.at,
    nonce: now.nonce,
    session: now.base,
    first: now.first,
    mesh: now.mesh === undefined ? null : meshIdBytes(now.mesh),
    transcript: now.transcript ?? null,
    entries: now.entries,
    ourKeys: now.ourKeys,
    packet: now.packet,
  };
}

function stateOf(text: string): JoinState {
  if (text === 'claiming' || text === 'comparing' || text === 'consented') return text;
  throw new Error(`a joining that is ${text}`);
}
