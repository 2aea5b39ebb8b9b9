/**
 * The newcomer's end of a pairing. No messenger runs meanwhile: this has the store and the transport to itself.
 *
 *   claiming ──▶ comparing ──▶ consented ──▶ a member
 *
 * Claiming: the first message goes out until the inviter answers. Comparing: the code is on the screen, and the
 * third message goes out until the inviter lets us in. Consented: we have signed, and may be a member already
 * without knowing; so this end asks until it is told, however long that takes.
 *
 * Each of the three is one record and one packet that is repeated as it is. Whatever happens in between, the
 * program starts again from there.
 *
 * Long, because it is one protocol seen from one side, and reads best in the order in which it happens.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import type { Hash, Mac } from '../../entities/crypto.ts';
import { type DeviceId, fingerprint } from '../../entities/device-id.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import type { MeshError } from '../../entities/errors.ts';
import { parseAgreementKey } from '../../entities/keys.ts';
import { type MeshId, meshIdBytes } from '../../entities/mesh-id.ts';
import type { AbortReason } from '../../entities/pairing/abort.ts';
import { type InviteLink, inviteLinkBytes, LINK_MESH_BYTES } from '../../entities/pairing/link.ts';
import type { FourthMessage, SecondMessage, SixthMessage } from '../../entities/pairing/messages.ts';
import {
  approvalProof,
  firstMessageHash,
  PAIRING_VERSION,
  pairingCode,
  transcriptHash,
} from '../../entities/pairing/transcript.ts';
import type { Result } from '../../entities/result.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import { consentSignable } from '../../entities/roster/signing.ts';
import { decodeEnvelope, PAIRING_ABORT, type PairingEnvelope } from '../../entities/wire/envelope.ts';
import { createCommitCycle } from '../commit-cycle.ts';
import type { LoadedDevice } from '../device/load-device.ts';
import { loadMesh } from '../membership/load-mesh.ts';
import type { Clock } from '../ports/clock.ts';
import type { Engine } from '../ports/engine.ts';
import type { Keystore } from '../ports/keystore.ts';
import type { Randomness } from '../ports/randomness.ts';
import type { Transport } from '../ports/transport.ts';
import { checkLink, isAlone, type LinkFault } from './check-link.ts';
import { enterMesh } from './enter-mesh.ts';
import { LONGEST_TTL } from './invite-book.ts';
import { pairingSession } from './pairing-session.ts';
import { beginJoin, type HeldJoin, type JoinState, joiningRecord, restoreJoin } from './pending-join.ts';
import { isAdded, type ReceivedLogParts, readLog } from './received-log.ts';

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15_000;
/** Two clocks are never quite the same, and the last answer may be on its way. */
const GRACE = 2 * 60_000;
/** So long the last word to the inviter may take. */
const FAREWELL = 3000;
const RESERVED_KEYS = 5;

export interface JoiningParts {
  readonly engine: Engine;
  readonly hash: Hash;
  readonly mac: Mac;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly keystore: Keystore;
  /** To the broker of the link. It is opened and closed here. */
  readonly transport: Transport;
  readonly device: Pick<LoadedDevice, 'self' | 'account' | 'pickleKey'>;
  readonly name: DeviceName;
  readonly tell: (event: JoinEvent) => void;
}

export type JoinEvent =
  | { readonly kind: 'connected'; readonly broker: string }
  /** No connection. Trying goes on by itself unless `permanent`. */
  | { readonly kind: 'waiting'; readonly error: MeshError; readonly permanent: boolean }
  /** To be typed at the inviter. The fingerprint is this device's own. */
  | { readonly kind: 'code'; readonly code: string; readonly fingerprint: string };

export type JoinRefusal =
  | LinkFault
  | 'invite-used'
  | 'invite-cancelled'
  | 'invite-wrong-code'
  | 'invite-declined'
  | 'pairing-version'
  /** One of the two sent what the other cannot accept. */
  | 'pairing-failed'
  | 'inviter-silent'
  | 'join-no-broker'
  | 'join-cancelled';

export interface Joined {
  readonly mesh: MeshId;
  readonly members: readonly DeviceId[];
}

export type JoinResult = Result<Joined, JoinRefusal>;

export interface Joining {
  /**
   * Joins, or goes on where this device has begun to join with the same link. `settings` are what the person
   * set for the broker here, parsed already; they stay if it succeeds. Rejects where the store fails.
   */
  start(link: InviteLink, settings?: ReadonlyMap<string, string>): Promise<JoinResult>;
  /** Goes on with what an earlier run has begun; `undefined` where there is nothing. */
  resume(): Promise<JoinResult | undefined>;
  /** The person does not want to any more. What the inviter has signed by then it cannot take back. */
  cancel(): Promise<void>;
  /** Ends for now, as a power cut would: `resume` goes on. The promised result is never told. */
  stop(): void;
}

export function createJoining(parts: JoiningParts): Joining {
  const { engine, hash, mac, clock, keystore, transport, tell } = parts;
  const { self, account, pickleKey } = parts.device;
  const verify: ReceivedLogParts['verify'] = (key, label, digest, signature) =>
    engine.verify(key, { label, digest }, signature);

  let held: HeldJoin | undefined;
  let former: Membership | undefined;
  let online = false;
  let everOnline = false;
  let over = false;
  let isUnwanted = false;
  let pause = FIRST_PAUSE;
  let cancelRepeat = (): void => undefined;
  let cancelDeadline = (): void => undefined;
  let resolveResult: (result: JoinResult) => void = () => undefined;
  let rejectResult: (error: unknown) => void = () => undefined;

  const cycle = createCommitCycle({ keystore, clock, prepare: () => undefined, fatal });

  function fatal(error: unknown): void {
    if (over) return;
    stop();
    rejectResult(error);
  }

  function stop(): void {
    over = true;
    online = false;
    cancelRepeat();
    cancelDeadline();
    cycle.stop();
    held?.session.dispose();
    held = undefined;
  }

  const durable = (): Promise<void> => new Promise((resolve) => cycle.afterwards(resolve));

  function changed(now: HeldJoin): void {
    cycle.change('joining', 'self', () => joiningRecord(now));
  }

  function accountChanged(): void {
    cycle.change('account', 'self', () => account.pickle(pickleKey));
  }

  function enter(now: HeldJoin, state: JoinState): void {
    now.state = state;
    now.at = Math.floor(clock.now());
    now.base = now.session.pickle();
    now.gathered.clear();
    now.read.clear();
    changed(now);
    cycle.afterwards(() => {
      pause = FIRST_PAUSE;
      if (state === 'consented') cancelDeadline();
      repeat();
    });
  }

  /** Publishes what has to be answered, again and again. */
  function repeat(): void {
    cancelRepeat();
    if (over || held === undefined) return;
    if (online) void transport.publish(held.link.inviter.id, held.packet);
    cancelRepeat = clock.after(pause, repeat);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }

  function run(now: HeldJoin): Promise<JoinResult> {
    held = now;
    const result = new Promise<JoinResult>((resolve, reject) => {
      resolveResult = resolve;
      rejectResult = reject;
    });
    if (now.state !== 'consented') {
      // This clock may be years behind: no invite lives longer than a day.
      const left = Math.min(Math.max(0, now.link.expiresAt - clock.now()), LONGEST_TTL);
      cancelDeadline = clock.after(left + GRACE, () => {
        void giveUp('gave-up', everOnline ? 'inviter-silent' : 'join-no-broker');
      });
    }
    cycle.afterwards(() => {
      if (now.state === 'comparing') showCode(now);
      transport.open({
        packet: (bytes) => {
          if (!over) packet(bytes);
        },
        connected({ broker }) {
          online = true;
          everOnline = true;
          pause = FIRST_PAUSE;
          tell({ kind: 'connected', broker });
          repeat();
        },
        disconnected({ error, permanent }) {
          online = false;
          if (over) return;
          tell({ kind: 'waiting', error, permanent });
          // The record stays: with the broker set right, the same link can go on.
          if (permanent && held?.state !== 'consented') void end({ refused: 'join-no-broker' });
        },
      });
    });
    // It may have been called off while the store was still being read.
    if (isUnwanted) void giveUp('gave-up', 'join-cancelled');
    return result;
  }

  function showCode({ transcript }: HeldJoin): void {
    if (transcript === undefined) throw new Error('a code without a transcript');
    tell({ kind: 'code', code: pairingCode(hash, transcript), fingerprint: fingerprint(self.id) });
  }

  function packet(bytes: Uint8Array): void {
    const decoded = decodeEnvelope(bytes);
    if (held === undefined || 'refused' in decoded || decoded.ok.envelope.kind !== 'pairing') return;
    const { envelope, head: covered } = decoded.ok;
    const { packets, link } = held;
    if (envelope.from !== link.inviter.id || !equal(envelope.tag, packets.tag)) return;
    if (!packets.isAuthentic(envelope, self.id, covered)) return;
    switch (envelope.step) {
      case 2:
        return held.state === 'claiming' ? onSecond(held, envelope) : undefined;
      case 4:
        return held.state === 'comparing' ? onFourth(held, envelope) : undefined;
      case 6:
        return held.state === 'consented' ? onSixth(held, envelope) : undefined;
      case PAIRING_ABORT:
        return onAbort(held, envelope);
    }
  }

  function onSecond(now: HeldJoin, { body }: PairingEnvelope): void {
    const second = now.session.open(2, body);
    if ('refused' in second) return unread(second.refused);
    const { message, text } = second.ok;
    const fault = faultOf(now, message);
    if (fault !== undefined) return void giveUp('refused', fault);
    const { link } = now;
    now.mesh = message.mesh;
    now.transcript = transcriptHash(hash, {
      link: now.linkBytes,
      first: now.first,
      second: text,
      nonce: now.nonce,
      session: now.session.id,
      mesh: message.mesh,
      inviter: link.inviter,
      inviterName: link.name,
      newcomer: self,
      newcomerName: now.name,
    });
    const third = now.session.seal({ step: 3, nonce: now.nonce });
    now.packet = now.packets.make(3, self.id, third.body);
    enter(now, 'comparing');
    cycle.afterwards(() => {
      if (held === now && now.state === 'comparing') showCode(now);
    });
  }

  function faultOf(now: HeldJoin, second: SecondMessage): JoinRefusal | undefined {
    if (second.version !== PAIRING_VERSION) return 'pairing-version';
    if (!equal(second.first, firstMessageHash(hash, now.first))) return 'pairing-failed';
    if (!equal(meshIdBytes(second.mesh).subarray(0, LINK_MESH_BYTES), now.link.mesh)) return 'pairing-failed';
    const mine = formerMesh();
    return second.mesh !== mine.mesh && !isAlone(mine) ? 'already-in-mesh' : undefined;
  }

  function onFourth(now: HeldJoin, envelope: PairingEnvelope): void {
    const { mesh, transcript } = compared(now);
    const proof = approvalProof(mac, now.link.secret, now.session.id, transcript);
    const gathered = gather(now, envelope, 4, (part) => equal(part.proof, proof));
    if (gathered === undefined) return;
    const entries = gathered.flatMap((part) => part.entries);
    const log = readLog(logParts(now, mesh), entries);
    if ('refused' in log) {
      return void giveUp('refused', log.refused === 'join-removed' ? 'join-removed' : 'pairing-failed');
    }
    const consented = consentSignable(hash, {
      mesh,
      transcript,
      inviter: now.link.inviter.keys,
      newcomer: self.keys,
    });
    const keys = account.createOneTimeKeys(RESERVED_KEYS);
    const fifth = now.session.seal({ step: 5, consent: account.sign(consented), keys });
    accountChanged();
    now.entries = entries;
    now.ourKeys = keys;
    now.packet = now.packets.make(5, self.id, fifth.body);
    enter(now, 'consented');
  }

  function onSixth(now: HeldJoin, envelope: PairingEnvelope): void {
    const { mesh, transcript } = compared(now);
    const gathered = gather(now, envelope, 6, () => true);
    const [part] = gathered ?? [];
    if (gathered === undefined || part === undefined) return;
    const of = logParts(now, mesh);
    const log = readLog(of, [...now.entries, ...gathered.flatMap(({ entries }) => entries)]);
    if ('refused' in log) {
      return void giveUp('refused', log.refused === 'join-removed' ? 'join-removed' : 'pairing-failed');
    }
    if (!isAdded(log.ok, of, transcript)) return void giveUp('refused', 'pairing-failed');
    become(now, log.ok, part).catch(fatal);
  }

  /** The last step: everything that a member keeps, in one commit. */
  async function become(now: HeldJoin, membership: Membership, { keys, login }: SixthMessage): Promise<void> {
    const { link, settings, ourKeys } = now;
    held = undefined;
    const changes = await enterMesh(keystore, {
      former: formerMesh(),
      membership,
      inviter: link.inviter.id,
      theirKeys: keys,
      ourKeys,
      broker: link.broker,
      settings,
      login,
      // When the inviter answered: what it sends may lie at the broker for long.
      at: now.at,
      burn: burnKey,
    });
    if (over) return now.session.dispose();
    // Nothing else is waiting to be written: what came before was durable before it was published.
    await keystore.commit([...changes, { kind: 'account', key: 'self', put: account.pickle(pickleKey) }]);
    now.session.dispose();
    await end({ ok: { mesh: membership.mesh, members: [...membership.roster.members].sort() } });
  }

  /**
   * All parts, once they are there. A part that came before is passed over; one that cannot be read because
   * too many are missing before it makes us begin anew, and the inviter sends them all again.
   */
  function gather<Step extends 4 | 6>(
    now: HeldJoin,
    envelope: PairingEnvelope,
    step: Step,
    isGood: (part: Extract<FourthMessage | SixthMessage, { readonly step: Step }>) => boolean,
  ): Extract<FourthMessage | SixthMessage, { readonly step: Step }>[] | undefined {
    type Part = Extract<FourthMessage | SixthMessage, { readonly step: Step }>;
    const { body } = envelope;
    const name = toHex(hash(body));
    if (now.read.has(name)) return undefined;
    const opened = now.session.open(step, body);
    if ('refused' in opened) {
      if (opened.refused === 'undecryptable' && now.gathered.size > 0) {
        startOver(now);
        return gather(now, envelope, step, isGood);
      }
      unread(opened.refused);
      return undefined;
    }
    const part = opened.ok.message as Part;
    const total = now.gathered.values().next().value?.total ?? part.total;
    if (!isGood(part) || part.total !== total || now.gathered.has(part.index)) {
      void giveUp('refused', 'pairing-failed');
      return undefined;
    }
    now.read.add(name);
    now.gathered.set(part.index, part);
    if (now.gathered.size < total) return undefined;
    return [...now.gathered.values()].sort((a, b) => a.index - b.index) as Part[];
  }

  function startOver(now: HeldJoin): void {
    now.session.dispose();
    now.session = pairingSession(engine, pickleKey, engine.restoreSession(now.base, pickleKey));
    now.gathered.clear();
    now.read.clear();
  }

  /** What the ratchet cannot read is not from the inviter; what it can and makes no sense ends the pairing. */
  function unread(refused: string): void {
    if (refused !== 'undecryptable') void giveUp('refused', 'pairing-failed');
  }

  function onAbort(now: HeldJoin, { body }: PairingEnvelope): void {
    const reason = now.packets.readAbort(engine, now.link.inviter.keys.signing, self.id, body);
    if (reason === undefined) return;
    // It was let in by then: this is about another attempt with the same link.
    if (reason === 'used' && now.state === 'consented') return;
    forget(now).then(() => end({ refused: REFUSALS[reason] }), fatal);
  }

  /** Says so to the inviter, as far as it can be reached, and ends. */
  async function giveUp(reason: AbortReason, refused: JoinRefusal): Promise<void> {
    const now = held;
    if (now === undefined) return;
    const packet = now.packets.abort(account, self.id, reason);
    await forget(now);
    if (online) {
      const published = transport.publish(now.link.inviter.id, packet);
      await Promise.race([published, new Promise<void>((resolve) => clock.after(FAREWELL, resolve))]);
    }
    await end({ refused });
  }

  function forget(now: HeldJoin): Promise<void> {
    held = undefined;
    cancelRepeat();
    cancelDeadline();
    discard(now.ourKeys);
    now.session.dispose();
    cycle.change('joining', 'self', () => undefined);
    return durable();
  }

  function discard(keys: readonly Uint8Array[]): void {
    for (const key of keys) burnKey(key);
    if (keys.length > 0) accountChanged();
  }

  function burnKey(bytes: Uint8Array): void {
    const key = parseAgreementKey(bytes);
    if ('ok' in key) account.burnOneTimeKey(key.ok);
  }

  async function end(result: JoinResult): Promise<void> {
    if (over) return;
    stop();
    await transport.close();
    resolveResult(result);
  }

  function formerMesh(): Membership {
    if (former === undefined) throw new Error('a joining that was not begun');
    return former;
  }

  function compared({ mesh, transcript }: HeldJoin): {
    readonly mesh: MeshId;
    readonly transcript: Uint8Array;
  } {
    if (mesh === undefined || transcript === undefined) throw new Error('a pairing without its transcript');
    return { mesh, transcript };
  }

  function logParts({ link }: HeldJoin, mesh: MeshId): ReceivedLogParts {
    return { hash, verify, self: self.id, inviter: link.inviter.id, mesh, held: formerMesh() };
  }

  return {
    async start(link, settings = new Map()) {
      former = await loadMesh(hash, keystore);
      const bytes = inviteLinkBytes(hash, link);
      if ('refused' in bytes) throw new Error('a link that was read is too long to be written');
      const record = await keystore.read('joining', 'self');
      if (record !== undefined && equal(record.link, bytes.ok)) {
        const before = restoreJoin(parts, record);
        if (before !== undefined) return run(before);
      }
      const fault = checkLink(link, clock.now(), self.id, former);
      if (fault !== undefined) return { refused: fault };
      discard(record?.ourKeys ?? []);
      const now = beginJoin(parts, link, bytes.ok, [...settings]);
      changed(now);
      return run(now);
    },

    async resume() {
      former = await loadMesh(hash, keystore);
      const record = await keystore.read('joining', 'self');
      const before = record === undefined ? undefined : restoreJoin(parts, record);
      return before === undefined ? undefined : run(before);
    },

    cancel() {
      isUnwanted = true;
      return giveUp('gave-up', 'join-cancelled');
    },
    stop,
  };
}

/** What the inviter's reason means to the person at this end. */
const REFUSALS: Readonly<Record<AbortReason, JoinRefusal>> = {
  expired: 'invite-expired',
  used: 'invite-used',
  cancelled: 'invite-cancelled',
  'wrong-code': 'invite-wrong-code',
  declined: 'invite-declined',
  removed: 'join-removed',
  version: 'pairing-version',
  malformed: 'pairing-failed',
  'gave-up': 'pairing-failed',
  refused: 'pairing-failed',
  other: 'pairing-failed',
};

export { type PendingJoin, pendingJoin } from './pending-join.ts';
