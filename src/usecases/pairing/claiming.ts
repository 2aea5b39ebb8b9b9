/**
 * What the inviter does with the messages of a newcomer. Each is answered the same however often it comes. What is
 * wrong before the ratchet is not from the newcomer and costs nothing; what is wrong behind it burns the invite.
 *
 * One closure, though long: the steps of one claim move one record, and who may take which is decided in one place.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import { labelledHash } from '../../entities/crypto.ts';
import { type DeviceId, deriveDeviceId } from '../../entities/device-id.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import type { AgreementKey } from '../../entities/keys.ts';
import type { Party } from '../../entities/pair-keys.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
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
  transcriptHash,
} from '../../entities/pairing/transcript.ts';
import { consentSignable } from '../../entities/roster/signing.ts';
import { PAIRING_ABORT, type PairingEnvelope } from '../../entities/wire/envelope.ts';
import type { MeshLog } from '../membership/mesh-log.ts';
import type { Session } from '../ports/engine.ts';
import { type Claim, claimOf, type HeldInvite, type InviteBook, type InvitingOffice } from './invite-book.ts';
import { type InviteLife, isLive } from './invite-life.ts';
import { type PairingSession, pairingSession, readMessage } from './pairing-session.ts';

const RESERVED_KEYS = 5;
/** Less than the shortest pause of a newcomer. */
const REPEAT_PAUSE = 500;

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

export interface Claiming {
  packet(envelope: PairingEnvelope, covered: Uint8Array): void;
  /** The code was right: the newcomer gets the log, and may ask to be added to it. */
  letIn(invite: HeldInvite, claim: Claim): void;
}

export function createClaiming(
  { office, log, welcome, loginFor }: InvitingParts,
  book: InviteBook,
  { publish, tell, watch, unwatch, expire, end, closeSession }: InviteLife,
): Claiming {
  const { engine, hash, mac, clock, randomness, self, account, pickleKey } = office;

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
    // Only once nothing is at stake any more: whoever else holds the link can send this in the newcomer's name.
    const isOver = invite.state === 'done' || invite.reason === 'used';
    const beginsAnew = step === 1 && !equal(claim.began, packetHash(covered));
    if (isOver && beginsAnew) return refuse(invite, from, isOut(from) ? 'removed' : 'used');
    if (invite.state === 'ended') {
      if (invite.reason !== undefined && invite.reason !== 'used') refuse(invite, from, invite.reason);
      return;
    }
    // Removed before it fetched what makes it a member: that would be a login, and keys, for nobody.
    if (invite.state === 'done' && isOut(from)) return refuse(invite, from, 'removed');
    if (equal(claim.heard, packetHash(covered))) return sayAgain(invite, claim);
    if (step === 3 && invite.state === 'claimed') return onThird(invite, claim, envelope, covered);
    if (step === 5 && invite.state === 'approved') return onFifth(invite, claim, envelope, covered);
    office.count('pairing-unexpected');
  }

  /** The whole log may be in it, and whoever has seen the packet go by can send it again, as often as it likes. */
  function sayAgain(invite: HeldInvite, { newcomer, answer }: Claim): void {
    const now = clock.elapsed();
    if (now < invite.repeatNotBefore) return office.count('replayed');
    invite.repeatNotBefore = now + REPEAT_PAUSE;
    publish(newcomer.id, answer);
  }

  /** For ever, whoever asks for it. */
  function isOut(device: DeviceId): boolean {
    const status = log.membership().roster.devices.get(device)?.status;
    return status === 'removed' || status === 'left';
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
    if (isOut(from)) return refuse(invite, from, 'removed');
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
      began: heard,
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
    if (isOut(from)) return end(invite, 'removed');
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

  return { packet, letIn };
}

export function transcriptOf({ transcript }: Claim): Uint8Array {
  if (transcript === undefined) throw new Error('a pairing without its transcript');
  return transcript;
}
