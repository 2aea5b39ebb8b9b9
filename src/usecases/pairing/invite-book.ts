/**
 * The invites of this device: the one that is open, those that somebody uses, and for a while those that are
 * over, so that whoever comes late is told why.
 *
 *   open ──▶ claimed ──▶ verified ──▶ approved ──▶ done
 *     └─────────┴────────────┴────────────┴──▶ ended
 *
 * Claimed: a newcomer has used the link, and nobody else can any more. Verified: it has opened its commitment, and
 * the code stands. Approved: a person has typed the code. Done: it was added to the mesh.
 */
import { toHex } from '../../entities/bytes.ts';
import { type DeviceId, deriveDeviceId } from '../../entities/device-id.ts';
import { parseDeviceKeys } from '../../entities/keys.ts';
import type { Party } from '../../entities/pair-keys.ts';
import { ABORT_REASONS, type AbortReason } from '../../entities/pairing/abort.ts';
import { decodeInviteLinkBytes, type InviteLink } from '../../entities/pairing/link.ts';
import type { Office } from '../messaging/office.ts';
import type { ClaimRecord, InviteRecord } from '../ports/records.ts';
import { type PairingPackets, pairingPackets } from './packets.ts';
import { type PairingSession, pairingSession } from './pairing-session.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
export const LONGEST_TTL = DAY;
const ENDED_KEPT = DAY;
const MOST_ENDED = 16;
/** So long a newcomer that was away may ask again for what makes it a member. */
const DONE_KEPT = 30 * DAY;
export const MOST_FAILURES = 3;
export const FAILURES_COUNT = 10 * MINUTE;

export type InviteState = 'open' | 'claimed' | 'verified' | 'approved' | 'done' | 'ended';
const STATES: readonly InviteState[] = ['open', 'claimed', 'verified', 'approved', 'done', 'ended'];

export interface HeldInvite {
  /** The tag in hexadecimal. */
  readonly id: string;
  readonly link: InviteLink;
  readonly linkBytes: Uint8Array;
  readonly packets: PairingPackets;
  readonly createdAt: number;
  /** In the running time of this process. */
  readonly deadline: number;
  state: InviteState;
  /** Why it has ended: `used` where a device has joined with it. */
  reason: AbortReason | undefined;
  endedAt: number | undefined;
  claim: Claim | undefined;
  /** When the newcomer may have the same answer once more, in the running time of this process. */
  repeatNotBefore: number;
}

export interface Claim {
  readonly newcomer: Party;
  readonly name: string;
  readonly sessionId: Uint8Array;
  session: PairingSession | undefined;
  readonly commitment: Uint8Array;
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  transcript: Uint8Array | undefined;
  entriesSent: number;
  heard: Uint8Array;
  /** Of the message with which it claimed the invite. */
  readonly began: Uint8Array;
  answer: readonly Uint8Array[];
}

export type InvitingOffice = Pick<
  Office,
  | 'engine'
  | 'hash'
  | 'mac'
  | 'clock'
  | 'randomness'
  | 'keystore'
  | 'transport'
  | 'self'
  | 'account'
  | 'pickleKey'
  | 'cycle'
  | 'accountChanged'
  | 'count'
  | 'tell'
>;

export interface InviteBook {
  all(): readonly HeldInvite[];
  get(id: string): HeldInvite | undefined;
  add(link: InviteLink, linkBytes: Uint8Array): HeldInvite;
  /** It goes into the next commit as it then is. */
  changed(invite: HeldInvite): void;
  /** Forgets what has been over for long enough. */
  sweep(): void;
  /** By the wall clock; that it has lived for long enough is what a timer sees to. */
  isExpired(invite: HeldInvite): boolean;
  /** The code was typed long ago, and the newcomer has not come back since. */
  isForsaken(invite: HeldInvite): boolean;
  failed(): void;
  /** Too many claims have failed of late. */
  isPaused(): boolean;
  load(): Promise<void>;
  dispose(): void;
}

export function createInviteBook(office: InvitingOffice): InviteBook {
  const { engine, hash, mac, clock, self, pickleKey, cycle, keystore } = office;
  const invites = new Map<string, HeldInvite>();
  let failures: readonly number[] = [];

  function hold(link: InviteLink, linkBytes: Uint8Array, createdAt: number): HeldInvite {
    const packets = pairingPackets({ hash, mac, self: self.id, inviter: self.id, secret: link.secret });
    // A clock that was put back must not prolong the life of a link.
    const left = Math.min(link.expiresAt - clock.now(), link.expiresAt - createdAt, LONGEST_TTL);
    const invite: HeldInvite = {
      id: toHex(packets.tag),
      link,
      linkBytes,
      packets,
      createdAt,
      deadline: clock.elapsed() + Math.max(0, left),
      state: 'open',
      reason: undefined,
      endedAt: undefined,
      claim: undefined,
      repeatNotBefore: 0,
    };
    invites.set(invite.id, invite);
    return invite;
  }

  function changed(invite: HeldInvite): void {
    cycle.change('invite', invite.id, () => (invites.has(invite.id) ? toRecord(invite) : undefined));
  }

  function forget(invite: HeldInvite): void {
    invites.delete(invite.id);
    changed(invite);
  }

  /** What lies in the future was noted before the clock was put back, and counts as of now. */
  function recentFailures(): readonly number[] {
    const now = clock.now();
    const recent = failures.map((at) => Math.min(at, now)).filter((at) => now - at < FAILURES_COUNT);
    if (recent.length !== failures.length || recent.some((at, i) => at !== failures[i])) {
      failures = recent;
      cycle.change('claims', 'self', () => ({ failedAt: failures }));
    }
    return failures;
  }

  return {
    all: () => [...invites.values()],
    get: (id) => invites.get(id),
    add(link, linkBytes) {
      const invite = hold(link, linkBytes, Math.floor(clock.now()));
      changed(invite);
      return invite;
    },
    changed,
    sweep() {
      const now = clock.now();
      const over = [...invites.values()].filter(({ state }) => state === 'ended' || state === 'done');
      for (const invite of over) {
        const age = now - (invite.endedAt ?? 0);
        if (age > (invite.state === 'done' ? DONE_KEPT : ENDED_KEPT)) forget(invite);
      }
      const ended = [...invites.values()].filter(({ state }) => state === 'ended');
      ended.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
      for (const invite of ended.slice(MOST_ENDED)) forget(invite);
    },
    isExpired: ({ link }) => clock.now() >= link.expiresAt,
    isForsaken: ({ link }) => clock.now() - link.expiresAt > DONE_KEPT,
    failed() {
      failures = [...recentFailures(), Math.floor(clock.now())].slice(-MOST_FAILURES);
      cycle.change('claims', 'self', () => ({ failedAt: failures }));
    },
    isPaused: () => recentFailures().length >= MOST_FAILURES,
    async load() {
      failures = (await keystore.read('claims', 'self'))?.failedAt ?? [];
      const records: (readonly [string, InviteRecord])[] = [];
      for (const id of keystore.keys('invite')) {
        const record = await keystore.read('invite', id);
        if (record !== undefined) records.push([id, record]);
      }
      records.sort(([, a], [, b]) => a.createdAt - b.createdAt);
      for (const [id, record] of records) {
        const link = decodeInviteLinkBytes(hash, record.link);
        if ('refused' in link) {
          // The tables that say which names can be shown are older than those of the program that wrote it.
          cycle.change('invite', id, () => undefined);
          continue;
        }
        const invite = hold(link.ok, record.link, record.createdAt);
        invite.state = STATES.find((state) => state === record.state) ?? 'ended';
        invite.reason = ABORT_REASONS.find((reason) => reason === record.reason);
        invite.endedAt = record.endedAt ?? undefined;
        invite.claim = record.claim === null ? undefined : restore(record.claim);
      }
    },
    dispose() {
      for (const { claim } of invites.values()) claim?.session?.dispose();
    },
  };

  function restore(record: ClaimRecord): Claim {
    const keys = parseDeviceKeys(record.signing, record.agreement);
    if ('refused' in keys) throw new Error('the stored keys of a newcomer are none');
    const { session } = record;
    return {
      newcomer: { id: deriveDeviceId(hash, keys.ok), keys: keys.ok },
      name: record.name,
      sessionId: record.sessionId,
      session:
        session === null
          ? undefined
          : pairingSession(engine, pickleKey, engine.restoreSession(session, pickleKey)),
      commitment: record.commitment,
      first: record.first,
      second: record.second,
      transcript: record.transcript ?? undefined,
      entriesSent: record.entriesSent,
      heard: record.heard,
      began: record.began,
      answer: record.answer,
    };
  }
}

function toRecord({ linkBytes, createdAt, state, reason, endedAt, claim }: HeldInvite): InviteRecord {
  return {
    link: linkBytes,
    createdAt,
    state,
    reason: reason ?? null,
    endedAt: endedAt ?? null,
    claim:
      claim === undefined
        ? null
        : {
            signing: claim.newcomer.keys.signing,
            agreement: claim.newcomer.keys.agreement,
            name: claim.name,
            sessionId: claim.sessionId,
            session: claim.session?.pickle() ?? null,
            commitment: claim.commitment,
            first: claim.first,
            second: claim.second,
            transcript: claim.transcript ?? null,
            entriesSent: claim.entriesSent,
            heard: claim.heard,
            began: claim.began,
            answer: claim.answer,
          },
  };
}

/** The claim of this device, where it is the one that uses the invite. */
export function claimOf(invite: HeldInvite, newcomer: DeviceId): Claim | undefined {
  return invite.claim?.newcomer.id === newcomer ? invite.claim : undefined;
}
