/** Turns what is due to a peer into packets: parcels inside a session, and the few messages that need none. */
import { toHex } from '../../entities/bytes.ts';
import { labelledHash } from '../../entities/crypto.ts';
import { ENVELOPE_LABEL, envelopeDigest, envelopeKey, envelopeMac } from '../../entities/pair-keys.ts';
import { Secret } from '../../entities/secret.ts';
import { highestSeen } from '../../entities/seen-numbers.ts';
import {
  addSession,
  newSession,
  type PairSession,
  type SessionId,
  sessionToSendOn,
  updateSession,
} from '../../entities/session-set.ts';
import { encodeEnvelope, TAG_BYTES, type Unsealed, WIRE_VERSION } from '../../entities/wire/envelope.ts';
import type { Item } from '../../entities/wire/items.ts';
import { encodeCore, encodeParcel, LARGEST_INSIDE, SALT_BYTES } from '../../entities/wire/parcel.ts';
import type { PairRecord } from '../ports/records.ts';
import type { Office } from './office.ts';
import { type Peer, toRecord } from './peer.ts';
import type { Ratchets } from './ratchets.ts';

/** A content key is used once, so its nonce may stand still. */
export const CONTENT_NONCE = new Uint8Array(12);

/** What goes beside a parcel, and its hash. */
export interface Beside {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

export interface Sealing {
  /** A packet with these items and what stands beside them, in the pair's session; `undefined` where there is none and none can begin. */
  parcel(peer: Peer, items: readonly Item[], beside: readonly Beside[]): Uint8Array | undefined;
  /** Begins a session with one of the keys that the peer reserved for us, and sends on it from now on. */
  begin(peer: Peer): boolean;
  greeting(peer: Peer, nonce: Uint8Array): Uint8Array;
  request(peer: Peer, nonce: Uint8Array): Uint8Array;
  answer(peer: Peer, nonce: Uint8Array): Uint8Array;
}

export function pairChanged(office: Office, peer: Peer): void {
  office.cycle.change('pair', peer.id, () => recordOf(office, peer));
}

/** What is to be kept of the pair: nothing, once the peer is no longer one. */
export function recordOf(office: Office, peer: Peer): PairRecord | undefined {
  return office.peers.get(peer.id) === peer ? toRecord(peer) : undefined;
}

export function sessionTag(id: SessionId): Uint8Array {
  const tag = new Uint8Array(TAG_BYTES);
  for (let i = 0; i < TAG_BYTES; i++) tag[i] = Number.parseInt(id.slice(i * 2, i * 2 + 2), 16);
  return tag;
}

/** The keys that authenticate envelopes of this session, in both directions. */
export function envelopeKeys(
  office: Office,
  peer: Peer,
  session: PairSession,
): { readonly out: Secret; readonly in: Secret } {
  const known = peer.envelopeKeys.get(session.id);
  if (known !== undefined) return known;
  const id = sessionIdBytes(session.id);
  const keys = {
    out: envelopeKey(office.mac, session.secret, id, peer.outContext),
    in: envelopeKey(office.mac, session.secret, id, peer.inContext),
  };
  peer.envelopeKeys.set(session.id, keys);
  return keys;
}

function sessionIdBytes(id: SessionId): Uint8Array {
  return Uint8Array.from(id.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The first bytes of a hash of a packet: how an answer names the message that it is about. */
export function packetNonce(office: Office, packet: Uint8Array): Uint8Array {
  return labelledHash(office.hash, 'packet v1', packet).slice(0, 16);
}

export function createSealing(office: Office, ratchets: Ratchets): Sealing {
  /** Serials follow the clock, so that a device restored from an old copy does not use one again. */
  function nextSerial(peer: Peer): number {
    peer.serial = Math.max(peer.serial + 1, Math.floor(office.clock.now()));
    pairChanged(office, peer);
    return peer.serial;
  }

  function signed(peer: Peer, envelope: Unsealed, digests: readonly Uint8Array[] = []): Uint8Array {
    const sign = (covered: Uint8Array): Uint8Array =>
      office.account.sign({
        label: ENVELOPE_LABEL,
        digest: envelopeDigest(office.hash, peer.outContext, covered),
      });
    return encodeEnvelope(envelope, sign, digests);
  }

  function begin(peer: Peer): boolean {
    const key = peer.theirKeys.shift();
    if (key === undefined) return false;
    peer.spentKeys = [key, ...peer.spentKeys].slice(0, 16);
    const session = office.account.startSession(peer.keys.agreement, key);
    const id = toHex(session.id) as SessionId;
    ratchets.adopt(id, session);
    const before = peer.sessions;
    peer.sessions = addSession(before, newSession(id, 'us', new Secret(office.randomness(32))), true);
    dropRetired(peer, before.sessions, ratchets);
    pairChanged(office, peer);
    return true;
  }

  return {
    begin,

    parcel(peer, items, others) {
      if (sessionToSendOn(peer.sessions) === undefined && !begin(peer)) return undefined;
      const session = sessionToSendOn(peer.sessions);
      if (session === undefined) return undefined;
      const ratchet = ratchets.live(session.id);
      const text = encodeParcel({
        context: peer.outContext,
        roster: office.rosterDigest(),
        secret: ratchet.established ? null : session.secret.expose(),
        items,
      });
      const salt = office.randomness(SALT_BYTES);
      const attached: Beside[] = [];
      let core: Uint8Array;
      if (text.length <= LARGEST_INSIDE) {
        core = encodeCore(salt, { inside: text });
      } else {
        const key = office.randomness(32);
        const bytes = office.cipher.seal({ key, nonce: CONTENT_NONCE, aad: peer.outContext, data: text });
        const digest = office.hash(bytes);
        attached.push({ bytes, digest });
        core = encodeCore(salt, { key, digest, context: peer.outContext });
      }
      attached.push(...others);
      const digests = attached.map(({ digest }) => digest);
      const { type, body } = ratchet.encrypt(core);
      ratchets.used(session.id);
      pairChanged(office, peer);
      const from = office.self.id;
      const tag = sessionTag(session.id);
      if (type === 0) {
        const serial = nextSerial(peer);
        const initial = { kind: 'initial', from, serial, session: tag, body } as const;
        const packet = signed(peer, { ...initial, attached: attached.map(({ bytes }) => bytes) }, digests);
        peer.contact.initialNonces = [packetNonce(office, packet), ...peer.contact.initialNonces].slice(
          0,
          16,
        );
        return packet;
      }
      const counter = session.sent + 1;
      peer.sessions = updateSession(peer.sessions, { ...session, sent: counter }, false);
      const { out } = envelopeKeys(office, peer, session);
      const sealed = { kind: 'sealed', from, counter, session: tag, body } as const;
      return encodeEnvelope(
        { ...sealed, attached: attached.map(({ bytes }) => bytes) },
        (covered) => envelopeMac(office.mac, out, covered),
        digests,
      );
    },

    greeting(peer, nonce) {
      return signed(peer, {
        kind: 'greeting',
        from: office.self.id,
        serial: nextSerial(peer),
        nonce,
        seenSerial: highestSeen(peer.seenSerials),
        sessions: peer.sessions.sessions.map((session) => sessionTag(session.id)),
        versions: [WIRE_VERSION],
      });
    },

    request(peer, nonce) {
      return signed(peer, { kind: 'request', from: office.self.id, serial: nextSerial(peer), nonce });
    },

    answer(peer, nonce) {
      fillReserve(office, peer);
      const keys = peer.ourKeys;
      return signed(peer, { kind: 'answer', from: office.self.id, serial: nextSerial(peer), nonce, keys });
    },
  };
}

export const RESERVE = 5;
export const RESERVE_LOW = 2;

/** Makes one-time keys until five of ours are out with the peer; never more, whoever asks how often. */
export function fillReserve(office: Office, peer: Peer): void {
  const missing = RESERVE - peer.ourKeys.length;
  if (missing <= 0) return;
  peer.ourKeys = [...peer.ourKeys, ...office.account.createOneTimeKeys(missing)];
  office.accountChanged();
  pairChanged(office, peer);
}

/** Lets go of the ratchets of sessions that are no longer held. */
export function dropRetired(peer: Peer, before: readonly PairSession[], ratchets: Ratchets): void {
  const kept = new Set(peer.sessions.sessions.map((session) => session.id));
  for (const { id } of before) {
    if (kept.has(id)) continue;
    ratchets.drop(id);
    peer.envelopeKeys.delete(id);
  }
}
