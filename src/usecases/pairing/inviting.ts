/**
 * The inviter's end of a pairing. The newcomer alone repeats; here every message is answered the same however
 * often it comes, and nothing is published before what it says is durable.
 *
 * Nobody becomes a member but through `approve`, which a person calls with the code from the newcomer's screen.
 * Whoever holds the link may use it once: whatever goes wrong after that burns it.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import { labelledHash } from '../../entities/crypto.ts';
import { type DeviceId, deriveDeviceId, fingerprint } from '../../entities/device-id.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import type { AgreementKey } from '../../entities/keys.ts';
import { meshIdBytes } from '../../entities/mesh-id.ts';
import type { Party } from '../../entities/pair-keys.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
import {
  encodeInviteLink,
  type InviteLink,
  inviteLinkBytes,
  LINK_MESH_BYTES,
  LINK_SECRET_BYTES,
  type LinkBroker,
  linkName,
} from '../../entities/pairing/link.ts';
import {
  bundleSignable,
  decodeOpening,
  type FirstMessage,
  partsOf,
  type SixthMessage,
} from '../../entities/pairing/messages.ts';
import {
  approvalProof,
  commitmentTo,
  firstMessageHash,
  linkHash,
  PAIRING_NONCE_BYTES,
  PAIRING_VERSION,
  pairingCode,
  parseCode,
  transcriptHash,
} from '../../entities/pairing/transcript.ts';
import type { Result } from '../../entities/result.ts';
import { consentSignable } from '../../entities/roster/signing.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import { PAIRING_ABORT, type PairingEnvelope } from '../../entities/wire/envelope.ts';
import type { MeshLog } from '../membership/mesh-log.ts';
import type { News } from '../messaging/office.ts';
import type { Session } from '../ports/engine.ts';
import {
  type Claim,
  claimOf,
  createInviteBook,
  type HeldInvite,
  type InviteState,
  type InvitingOffice,
  LONGEST_TTL,
} from './invite-book.ts';
import { type PairingSession, pairingSession, readMessage } from './pairing-session.ts';

export const DEFAULT_INVITE_TTL = 10 * 60_000;
export const SHORTEST_TTL = 1000;
const RESERVED_KEYS = 5;

export interface InvitingParts {
  readonly office: InvitingOffice;
  readonly log: Pick<MeshLog, 'membership' | 'write' | 'isBehind'>;
  /** Takes over the one-time keys that were exchanged with a device that has just become a member. */
  readonly welcome: (newcomer: Party, keys: ReservedKeys) => void;
  /** A login of its own for a new member, where the broker is this device's. */
  readonly loginFor?: (device: DeviceId) => SixthMessage['login'];
}

export interface ReservedKeys {
  readonly theirKeys: readonly AgreementKey[];
  readonly ourKeys: readonly AgreementKey[];
}

export interface InviteRequest {
  /** Milliseconds; a second at least, a day at most. */
  readonly ttl: number;
  readonly broker: LinkBroker;
}

export interface Invite {
  readonly id: string;
  readonly link: string;
  readonly expiresAt: number;
}

export type InviteRefusal =
  /** Too many claims have failed of late. */
  | 'invites-paused'
  /** Somebody uses the present one: it has to be approved, declined or cancelled first. */
  | 'invite-in-use'
  /** The broker's URL or login is too long for a link. */
  | 'link-too-long';

export interface JoinRequest {
  /** That of the invite. */
  readonly id: string;
  readonly deviceId: DeviceId;
  readonly name: string;
  readonly fingerprint: string;
}

export interface LiveInvite {
  readonly id: string;
  readonly expiresAt: number;
  readonly state: Exclude<InviteState, 'done' | 'ended'>;
  readonly secret: Secret;
  readonly derivedLogin: boolean;
}

export interface Inviting {
  /** Replaces an invite that nobody has used yet. Resolves once it is durable. */
  create(request: InviteRequest): Promise<Result<Invite, InviteRefusal>>;
  /** Ends the invite that is open or in use; false where there is none. */
  cancel(): Promise<boolean>;
  /** The newest that is open or in use. */
  live(): LiveInvite | undefined;
  /**
   * Secrets of all invites whose newcomer may still need the login that follows from them: it has none of its
   * own before it is a member.
   */
  logins(): readonly { readonly id: string; readonly secret: Secret }[];
  /** Newcomers that wait for their code to be typed. */
  requests(): readonly JoinRequest[];
  /** A wrong code burns the invite; what is no code at all costs nothing. Resolves once durable. */
  approve(
    code: string,
    request?: string,
  ): Promise<Result<JoinRequest, 'no-request' | 'code-malformed' | 'code-wrong'>>;
  decline(request?: string): Promise<Result<JoinRequest, 'no-request'>>;
  /** A packet as it was decoded; nothing about it was checked yet. */
  packet(envelope: PairingEnvelope, covered: Uint8Array): void;
  /** The device was heard as a member: what was kept for it is not needed any more. */
  forget(device: DeviceId): void;
  /** At the start, before anything else is called. */
  load(): Promise<void>;
  /** Ends the timers, and gives the engine's memory back. */
  stop(): void;
}

/** What of the news is about the invite itself is filled in where it is told. */
type InviteNews = Extract<News, { readonly kind: 'invite' }>;

export function createInviting({ office, log, welcome, loginFor }: InvitingParts): Inviting {
  const { engine, hash, mac, clock, randomness, transport, self, account, pickleKey, cycle } = office;
  const book = createInviteBook(office);
  const timers = new Map<string, () => void>();

  const durable = (): Promise<void> => new Promise((resolve) => cycle.afterwards(resolve));

  function publish(to: DeviceId, packets: readonly Uint8Array[]): void {
    cycle.afterwards(() => {
      // What gets lost on the way is asked for again.
      for (const packet of packets) void transport.publish(to, packet);
    });
  }

  function tell(invite: HeldInvite, what: InviteNews['what'], reason?: AbortReason): void {
    const { id, claim } = invite;
    const who = claim === undefined ? {} : { device: claim.newcomer.id, name: claim.name };
    const why = reason === undefined ? {} : { reason };
    cycle.afterwards(() => office.tell({ kind: 'invite', id, what, ...who, ...why }));
  }

  function watch(invite: HeldInvite): void {
    const left = Math.max(0, invite.deadline - clock.elapsed());
    timers.set(
      invite.id,
      clock.after(left, () => expire(invite)),
    );
  }

  function expire(invite: HeldInvite): void {
    const { state } = invite;
    if (state === 'open' || state === 'claimed' || state === 'verified') end(invite, 'expired');
  }

  /** Ends what is over by now; the timer may be late, and the clock may have been put forward. */
  function expireDue(): void {
    for (const invite of book.all()) {
      if (book.isExpired(invite)) expire(invite);
      if (invite.state === 'approved' && book.isForsaken(invite)) end(invite, 'expired');
    }
  }

  function unwatch(invite: HeldInvite): void {
    timers.get(invite.id)?.();
    timers.delete(invite.id);
  }

  function end(invite: HeldInvite, reason: AbortReason): void {
    const { claim } = invite;
    unwatch(invite);
    if (invite.state === 'open') {
      account.burnOneTimeKey(invite.link.oneTimeKey);
      office.accountChanged();
    }
    invite.state = 'ended';
    invite.reason = reason;
    invite.endedAt = Math.floor(clock.now());
    if (claim !== undefined) {
      // Only the person at this end can cancel: that says nothing about who holds the link.
      if (reason !== 'cancelled') book.failed();
      closeSession(claim);
      claim.answer = [];
      publish(claim.newcomer.id, [invite.packets.abort(account, claim.newcomer.id, reason)]);
    }
    book.changed(invite);
    book.sweep();
    tell(invite, 'ended', reason);
  }

  function closeSession(claim: Claim): void {
    claim.session?.dispose();
    claim.session = undefined;
  }

  function isLive({ state }: HeldInvite): boolean {
    return state === 'open' || state === 'claimed' || state === 'verified' || state === 'approved';
  }

  function newestLive(): HeldInvite | undefined {
    return book.all().findLast(isLive);
  }

  function requestOf(invite: HeldInvite): JoinRequest | undefined {
    const { claim, id } = invite;
    if (claim === undefined) return undefined;
    const deviceId = claim.newcomer.id;
    return { id, deviceId, name: claim.name, fingerprint: fingerprint(deviceId) };
  }

  /** The one that waits, or that of this id among those that wait. */
  function waiting(id?: string): { invite: HeldInvite; claim: Claim; request: JoinRequest } | undefined {
    expireDue();
    for (const invite of book.all()) {
      const request = requestOf(invite);
      const { claim, state } = invite;
      if (state !== 'verified' || claim === undefined || request === undefined) continue;
      if (id === undefined || id === invite.id) return { invite, claim, request };
    }
    return undefined;
  }

  function packet(envelope: PairingEnvelope, covered: Uint8Array): void {
    const { from, step, tag } = envelope;
    const invite = book.get(toHex(tag));
    if (invite === undefined) return office.count('pairing-unknown');
    if (from === self.id || !invite.packets.isAuthentic(envelope, from, covered)) {
      return office.count('mac-wrong');
    }
    if (book.isExpired(invite)) expire(invite);
    const claim = claimOf(invite, from);
    if (step === PAIRING_ABORT) return onAbort(invite, claim, envelope);
    if (step !== 1 && step !== 3 && step !== 5) return office.count('pairing-unexpected');
    if (invite.state === 'open') {
      return step === 1 ? onFirst(invite, envelope, covered) : office.count('pairing-unexpected');
    }
    if (claim === undefined) {
      // Somebody else has used it, or it was over before anybody could.
      return refuse(invite, from, lateReason(invite));
    }
    if (invite.state === 'ended') {
      if (invite.reason !== undefined && invite.reason !== 'used') refuse(invite, from, invite.reason);
      return;
    }
    if (equal(claim.heard, packetHash(covered))) return publish(from, claim.answer);
    if (step === 3 && invite.state === 'claimed') return onThird(invite, claim, envelope, covered);
    if (step === 5 && invite.state === 'approved') return onFifth(invite, claim, envelope, covered);
    office.count('pairing-unexpected');
  }

  function lateReason({ claim: other, reason }: HeldInvite): AbortReason {
    const unused = other === undefined && (reason === 'expired' || reason === 'cancelled');
    return unused ? reason : 'used';
  }

  function refuse(invite: HeldInvite, to: DeviceId, reason: AbortReason): void {
    office.count(`pairing-refused-${reason}`);
    publish(to, [invite.packets.abort(account, to, reason)]);
  }

  function packetHash(covered: Uint8Array): Uint8Array {
    return labelledHash(hash, 'packet v1', covered);
  }

  /** Nothing that is wrong up to here uses the invite; what is wrong behind the ratchet does. */
  function onFirst(invite: HeldInvite, { from, body }: PairingEnvelope, covered: Uint8Array): void {
    const status = log.membership().roster.devices.get(from)?.status;
    if (status === 'removed' || status === 'left') return refuse(invite, from, 'removed');
    const opening = decodeOpening(body);
    if ('refused' in opening) return refuse(invite, from, 'malformed');
    const wanted = account.oneTimeKeyIn(opening.ok.olm);
    if (wanted === undefined || !equal(wanted, invite.link.oneTimeKey)) {
      return refuse(invite, from, 'malformed');
    }
    const accepted = account.acceptSession(opening.ok.agreement, opening.ok.olm);
    if ('refused' in accepted) return refuse(invite, from, 'malformed');
    // From here on the one-time key is gone, and with it the invite is used, whatever the message says.
    office.accountChanged();
    unwatch(invite);
    const first = readMessage(1, accepted.ok.plaintext);
    const fault =
      'refused' in first ? 'malformed' : faultOf(invite, first.ok.message, from, opening.ok.agreement);
    if ('refused' in first || fault !== undefined) {
      accepted.ok.session.dispose();
      return spoilt(invite, from, fault ?? 'malformed');
    }
    claim(invite, first.ok, accepted.ok.session, packetHash(covered));
  }

  function claim(
    invite: HeldInvite,
    { message, text }: { readonly message: FirstMessage; readonly text: Uint8Array },
    olm: Session,
    heard: Uint8Array,
  ): void {
    const newcomer = { id: deriveDeviceId(hash, message.keys), keys: message.keys };
    const session = pairingSession(engine, pickleKey, olm);
    const second = session.seal({
      step: 2,
      version: PAIRING_VERSION,
      nonce: randomness(PAIRING_NONCE_BYTES),
      first: firstMessageHash(hash, text),
      mesh: log.membership().mesh,
    });
    invite.claim = {
      newcomer,
      name: message.name,
      sessionId: session.id,
      session,
      commitment: message.commitment,
      first: text,
      second: second.text,
      transcript: undefined,
      entriesSent: 0,
      heard,
      answer: [invite.packets.make(2, newcomer.id, second.body)],
    };
    invite.state = 'claimed';
    watch(invite);
    book.changed(invite);
    publish(newcomer.id, invite.claim.answer);
    tell(invite, 'claimed');
  }

  function faultOf(
    { link, linkBytes }: HeldInvite,
    first: FirstMessage,
    from: DeviceId,
    agreement: AgreementKey,
  ): AbortReason | undefined {
    if (!first.versions.includes(PAIRING_VERSION)) return 'version';
    if (deriveDeviceId(hash, first.keys) !== from || !equal(first.keys.agreement, agreement)) {
      return 'malformed';
    }
    if (!equal(first.link, linkHash(hash, linkBytes))) return 'malformed';
    const signed = bundleSignable(hash, link.inviter.id, first);
    return engine.verify(first.keys.signing, signed, first.signature) ? undefined : 'malformed';
  }

  /** Used by somebody whose first message was no good. */
  function spoilt(invite: HeldInvite, by: DeviceId, reason: AbortReason): void {
    // The key is gone already.
    invite.state = 'claimed';
    book.failed();
    end(invite, reason);
    refuse(invite, by, reason);
  }

  function onThird(
    invite: HeldInvite,
    of: Claim,
    { from, body }: PairingEnvelope,
    covered: Uint8Array,
  ): void {
    const third = sessionOf(of).open(3, body);
    if ('refused' in third) {
      // What the ratchet cannot read is not from the newcomer, and costs it nothing.
      return third.refused === 'undecryptable' ? office.count('undecryptable') : end(invite, 'malformed');
    }
    const { nonce } = third.ok.message;
    if (!equal(commitmentTo(hash, from, nonce), of.commitment)) return end(invite, 'malformed');
    of.transcript = transcriptHash(hash, {
      link: invite.linkBytes,
      first: of.first,
      second: of.second,
      nonce,
      session: of.sessionId,
      mesh: log.membership().mesh,
      inviter: self,
      inviterName: invite.link.name,
      newcomer: of.newcomer,
      newcomerName: of.name,
    });
    of.heard = packetHash(covered);
    of.answer = [];
    invite.state = 'verified';
    book.changed(invite);
    tell(invite, 'verified');
  }

  /** The code was right: the newcomer gets the log, and may ask to be added to it. */
  function letIn(invite: HeldInvite, of: Claim): void {
    const session = sessionOf(of);
    const transcript = transcriptOf(of);
    const entries = [...log.membership().log.values()].map(({ bytes }) => bytes);
    const proof = approvalProof(mac, invite.link.secret, of.sessionId, transcript);
    const parts = partsOf(entries);
    of.answer = parts.map((part, index) => {
      const message = { step: 4, index, total: parts.length, proof, entries: part } as const;
      return invite.packets.make(4, of.newcomer.id, session.seal(message).body);
    });
    of.entriesSent = entries.length;
    invite.state = 'approved';
    unwatch(invite);
    book.changed(invite);
    publish(of.newcomer.id, of.answer);
  }

  function onFifth(
    invite: HeldInvite,
    of: Claim,
    { from, body }: PairingEnvelope,
    covered: Uint8Array,
  ): void {
    // An old copy of this device must not write: it asks its peers first, and the newcomer asks again.
    if (log.isBehind()) return office.count('pairing-unexpected');
    const { roster, mesh } = log.membership();
    const status = roster.devices.get(from)?.status;
    if (status === 'removed' || status === 'left') return end(invite, 'removed');
    if (!roster.members.has(self.id)) return end(invite, 'cancelled');
    const session = sessionOf(of);
    const fifth = session.open(5, body);
    if ('refused' in fifth) {
      return fifth.refused === 'undecryptable' ? office.count('undecryptable') : end(invite, 'malformed');
    }
    const { consent, keys: theirKeys } = fifth.ok.message;
    const transcript = transcriptOf(of);
    const { newcomer } = of;
    const consented = consentSignable(hash, {
      mesh,
      transcript,
      inviter: self.keys,
      newcomer: newcomer.keys,
    });
    if (!engine.verify(newcomer.keys.signing, consented, consent)) return end(invite, 'malformed');
    const name = of.name as DeviceName;
    log.write({ kind: 'add', device: newcomer.id, keys: newcomer.keys, name, transcript, consent });
    const ourKeys = account.createOneTimeKeys(RESERVED_KEYS);
    office.accountChanged();
    welcome(newcomer, { theirKeys, ourKeys });
    of.answer = sealWelcome(invite, of, session, ourKeys);
    of.heard = packetHash(covered);
    closeSession(of);
    invite.state = 'done';
    invite.endedAt = Math.floor(clock.now());
    book.changed(invite);
    book.sweep();
    publish(newcomer.id, of.answer);
    tell(invite, 'joined');
  }

  function sealWelcome(
    invite: HeldInvite,
    { newcomer, entriesSent }: Claim,
    session: PairingSession,
    keys: readonly AgreementKey[],
  ): readonly Uint8Array[] {
    const login = loginFor?.(newcomer.id);
    const since = [...log.membership().log.values()].slice(entriesSent);
    const parts = partsOf(since.map(({ bytes }) => bytes));
    return parts.map((entries, index) => {
      const message = { step: 6, index, total: parts.length, entries, keys, login } as const;
      return invite.packets.make(6, newcomer.id, session.seal(message).body);
    });
  }

  function onAbort(invite: HeldInvite, of: Claim | undefined, { from, body }: PairingEnvelope): void {
    if (of === undefined || !isLive(invite)) return office.count('pairing-unexpected');
    const reason = invite.packets.readAbort(engine, of.newcomer.keys.signing, from, body);
    if (reason === undefined) return office.count('signature-wrong');
    end(invite, reason === 'refused' ? 'refused' : 'gave-up');
  }

  function sessionOf({ session }: Claim): PairingSession {
    if (session === undefined) throw new Error('a pairing that goes on without a session');
    return session;
  }

  function transcriptOf({ transcript }: Claim): Uint8Array {
    if (transcript === undefined) throw new Error('a pairing without its transcript');
    return transcript;
  }

  return {
    async create({ ttl, broker }) {
      expireDue();
      if (book.isPaused()) return { refused: 'invites-paused' };
      const before = book.all().filter(isLive);
      if (before.some(({ state }) => state === 'claimed' || state === 'verified')) {
        return { refused: 'invite-in-use' };
      }
      const { mesh, roster } = log.membership();
      const life = Math.min(Math.max(ttl, SHORTEST_TTL), LONGEST_TTL);
      const device = roster.devices.get(self.id)?.name ?? '';
      const [oneTimeKey] = account.createOneTimeKeys(1);
      if (oneTimeKey === undefined) throw new Error('the engine made no key');
      office.accountChanged();
      const link: InviteLink = {
        mesh: meshIdBytes(mesh).subarray(0, LINK_MESH_BYTES),
        inviter: self,
        oneTimeKey,
        secret: new Secret(randomness(LINK_SECRET_BYTES)),
        expiresAt: Math.floor((clock.now() + life) / 1000) * 1000,
        name: linkName(device, `device ${self.id.slice(0, 8)}` as DeviceName),
        broker,
      };
      const text = encodeInviteLink(hash, link);
      const bytes = inviteLinkBytes(hash, link);
      if ('refused' in text || 'refused' in bytes) {
        account.burnOneTimeKey(oneTimeKey);
        return { refused: 'link-too-long' };
      }
      for (const invite of before) if (invite.state === 'open') end(invite, 'cancelled');
      const invite = book.add(link, bytes.ok);
      watch(invite);
      tell(invite, 'opened');
      await durable();
      return { ok: { id: invite.id, link: text.ok, expiresAt: link.expiresAt } };
    },

    async cancel() {
      expireDue();
      const invite = newestLive();
      if (invite === undefined) return false;
      end(invite, 'cancelled');
      await durable();
      return true;
    },

    live() {
      expireDue();
      const invite = newestLive();
      if (invite === undefined) return undefined;
      const { id, link, state } = invite;
      if (state === 'done' || state === 'ended') return undefined;
      const derivedLogin = link.broker.derivedLogin === true;
      return { id, expiresAt: link.expiresAt, state, secret: link.secret, derivedLogin };
    },

    logins: () =>
      book
        .all()
        .filter((invite) => isLive(invite) || invite.state === 'done')
        .filter(({ link }) => link.broker.derivedLogin === true)
        .map(({ id, link }) => ({ id, secret: link.secret })),

    requests() {
      expireDue();
      return book.all().flatMap((invite) => {
        const request = invite.state === 'verified' ? requestOf(invite) : undefined;
        return request === undefined ? [] : [request];
      });
    },

    async approve(typed, request) {
      const code = parseCode(typed);
      if (code === undefined) return { refused: 'code-malformed' };
      const found = waiting(request);
      if (found === undefined) return { refused: 'no-request' };
      const { invite, claim } = found;
      const right = equal(utf8(code), utf8(pairingCode(hash, transcriptOf(claim))));
      if (right) letIn(invite, claim);
      else end(invite, 'wrong-code');
      await durable();
      return right ? { ok: found.request } : { refused: 'code-wrong' };
    },

    async decline(request) {
      const found = waiting(request);
      if (found === undefined) return { refused: 'no-request' };
      end(found.invite, 'declined');
      await durable();
      return { ok: found.request };
    },

    packet,

    forget(device) {
      for (const invite of book.all()) {
        if (invite.state !== 'done' || invite.claim?.newcomer.id !== device) continue;
        invite.state = 'ended';
        invite.reason = 'used';
        invite.endedAt = Math.floor(clock.now());
        invite.claim.answer = [];
        book.changed(invite);
      }
    },

    async load() {
      await book.load();
      book.sweep();
      for (const invite of book.all()) {
        const { state } = invite;
        if (state === 'open' || state === 'claimed' || state === 'verified') watch(invite);
      }
      expireDue();
    },

    stop() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
      book.dispose();
    },
  };
}
