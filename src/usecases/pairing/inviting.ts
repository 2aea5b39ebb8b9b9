/**
 * The inviter's end of a pairing. The newcomer alone repeats; here every message is answered the same however
 * often it comes, and nothing is published before what it says is durable.
 *
 * Nobody becomes a member but through `approve`, which a person calls with the code from the newcomer's screen.
 * Whoever holds the link may use it once: whatever goes wrong after that burns it.
 */
import { equal } from '../../entities/bytes.ts';
import { type DeviceId, fingerprint } from '../../entities/device-id.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import { meshIdBytes } from '../../entities/mesh-id.ts';
import {
  encodeInviteLink,
  type InviteLink,
  inviteLinkBytes,
  LINK_MESH_BYTES,
  LINK_SECRET_BYTES,
  type LinkBroker,
  linkName,
} from '../../entities/pairing/link.ts';
import { pairingCode, parseCode } from '../../entities/pairing/transcript.ts';
import type { Result } from '../../entities/result.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import type { PairingEnvelope } from '../../entities/wire/envelope.ts';
import { createClaiming, type InvitingParts, transcriptOf } from './claiming.ts';
import {
  type Claim,
  createInviteBook,
  type HeldInvite,
  type InviteState,
  LONGEST_TTL,
} from './invite-book.ts';
import { createInviteLife, isLive } from './invite-life.ts';

export const DEFAULT_INVITE_TTL = 10 * 60_000;
export const SHORTEST_TTL = 1000;

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
   * own before it is a member, and without one it cannot be told why it will not be.
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

export function createInviting(parts: InvitingParts): Inviting {
  const { office, log } = parts;
  const { hash, clock, randomness, self, account, cycle } = office;
  const book = createInviteBook(office);
  const life = createInviteLife(office, book);
  const { tell, watch, expireDue, end } = life;
  const { packet, letIn } = createClaiming(parts, book, life);

  const durable = (): Promise<void> => new Promise((resolve) => cycle.afterwards(resolve));

  /** Until the next invite, whoever has the link hears why it is no good, and the newcomer why it was sent away. */
  function owesAnswer(invite: HeldInvite): boolean {
    const isOver = (invite.state === 'ended' && invite.reason !== 'used') || isForNobody(invite);
    return isOver && !book.isExpired(invite) && book.all().at(-1) === invite;
  }

  /** Its newcomer was removed before it fetched what would have made it a member. */
  function isForNobody({ state, claim }: HeldInvite): boolean {
    const { devices } = log.membership().roster;
    const status = claim === undefined ? undefined : devices.get(claim.newcomer.id)?.status;
    return state === 'done' && (status === 'removed' || status === 'left');
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
        .filter((invite) => {
          const isAwaited = isLive(invite) || (invite.state === 'done' && !isForNobody(invite));
          return isAwaited || owesAnswer(invite);
        })
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
      life.stop();
      book.dispose();
    },
  };
}

export type { InvitingParts, ReservedKeys } from './claiming.ts';
