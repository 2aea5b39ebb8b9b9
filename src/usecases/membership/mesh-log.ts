/**
 * The membership log of this device while it runs: the only place where entries come in, from peers or written
 * here. What an entry changes, and the confirmation that it asks for, are in the commit that holds the entry.
 */
import type { Hash } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { Party } from '../../entities/pair-keys.ts';
import { type Admission, type AdmissionStep, admit } from '../../entities/roster/admission.ts';
import { attachSignature, compose, confirmations } from '../../entities/roster/compose.ts';
import type { Body, Entry, EntryHash } from '../../entities/roster/entry.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import type { Head, Roster } from '../../entities/roster/roster.ts';
import type { VerifySignature } from '../../entities/roster/signing.ts';
import type { CommitCycle } from '../commit-cycle.ts';
import type { Clock } from '../ports/clock.ts';
import type { Account, Engine } from '../ports/engine.ts';

export interface MeshLog {
  membership(): Membership;
  /** Takes over what may be taken over; the outcomes are in the order of the entries. */
  admit(entries: readonly Entry[]): readonly Admission[];
  /** Writes the next entry of this device. */
  write(body: Body): Entry;
  /**
   * Whether entries that this device has written are known to be missing here, because it was put back to an
   * older state. What it wrote now would fork its own chain.
   */
  isBehind(): boolean;
  /** A member showed what it holds, the end of this device's own chain among it. */
  sawHeads(by: DeviceId, heads: readonly Head[]): void;
}

/** A chain has one end, unless it is forked: more than this from one member is made up. */
const MOST_CLAIMED = 16;

export interface MeshLogParts {
  readonly engine: Pick<Engine, 'verify'>;
  readonly hash: Hash;
  readonly clock: Pick<Clock, 'now'>;
  readonly self: Party;
  readonly account: Pick<Account, 'sign'>;
  readonly cycle: Pick<CommitCycle, 'change'>;
  readonly membership: Membership;
  /** Called in the step in which the log grew, before its commit. */
  readonly grown: (change: LogChange) => void;
}

export interface LogChange {
  readonly before: Roster;
  readonly now: Roster;
  readonly entries: readonly Entry[];
}

export function verifier(engine: Pick<Engine, 'verify'>): VerifySignature {
  return (key, label, digest, signature) => engine.verify(key, { label, digest }, signature);
}

export function createMeshLog(parts: MeshLogParts): MeshLog {
  const { engine, hash, clock, self, account, cycle, grown } = parts;
  const context = { hash, self: self.id, verify: verifier(engine) };
  let current = parts.membership;
  /**
   * Ends of the own chain that others hold and this device does not, and who says so. That is a claim: it goes with
   * whoever made it, or one that is removed could keep this device from ever writing again.
   */
  let ownElsewhere: readonly { readonly hash: EntryHash; readonly by: DeviceId }[] = [];
  /** A life that ended while it was behind may have left something unconfirmed. */
  let confirmed = false;
  /**
   * A member has shown in this run what it holds. Before that this device cannot know whether it was put back to an
   * older state, and lets its confirmations wait; what a person writes does not wait.
   */
  let isOriented = false;
  /** This device was a member when it took over what is not confirmed yet. */
  let tookAsMember = false;

  function keep(step: AdmissionStep): void {
    let order = current.log.size;
    current = step.membership;
    for (const { hash: key, bytes } of step.admitted) {
      const place = order++;
      cycle.change('entry', key, () => ({ order: place, bytes }));
    }
  }

  function take(entries: readonly Entry[]): AdmissionStep {
    const before = current.roster;
    const step = admit(context, current, entries);
    // The pool may have changed though nothing was admitted.
    if (step.admitted.length === 0) current = step.membership;
    else keep(step);
    const { members } = current.roster;
    ownElsewhere = ownElsewhere.filter((head) => !current.log.has(head.hash) && members.has(head.by));
    if (step.admitted.length > 0) {
      confirmed = false;
      if (before.members.has(self.id)) tookAsMember = true;
      grown({ before, now: current.roster, entries: step.admitted });
    }
    return step;
  }

  function write(body: Body): Entry {
    const draft = compose(hash, current, self.id, body, Math.floor(clock.now()));
    const entry = attachSignature(hash, draft, account.sign(draft.signable));
    const [outcome] = take([entry]).outcomes;
    if (outcome?.outcome !== 'admitted') throw new Error(`an entry of our own is ${outcome?.outcome}`);
    return entry;
  }

  /**
   * A removed device confirms its own removal too: what it wrote before it knew reaches, with that, whoever has
   * not heard of the removal either. So does one that has just become void: the others may lack what made it so,
   * and would hold it back for ever.
   */
  function confirm(): void {
    const status = current.roster.devices.get(self.id)?.status;
    const owes = status === 'member' || status === 'removed' || tookAsMember;
    // Where no other member is left, nobody will ever show anything.
    const isAlone = current.roster.members.size === 1 && status === 'member';
    if (confirmed || !(isOriented || isAlone) || ownElsewhere.length > 0 || !owes) return;
    for (const body of confirmations(current, self.id)) write(body);
    confirmed = true;
    tookAsMember = false;
  }

  return {
    membership: () => current,
    admit(entries) {
      const { outcomes } = take(entries);
      confirm();
      return outcomes;
    },
    write(body) {
      const entry = write(body);
      isOriented = true;
      confirm();
      return entry;
    },
    isBehind: () => ownElsewhere.length > 0,
    sawHeads(by, heads) {
      if (current.roster.members.has(by)) isOriented = true;
      for (const { author, hash: head } of heads) {
        if (author !== self.id || current.log.has(head) || !current.roster.members.has(by)) continue;
        const claimed = ownElsewhere.filter((known) => known.by === by);
        if (claimed.length >= MOST_CLAIMED || claimed.some((known) => known.hash === head)) continue;
        ownElsewhere = [...ownElsewhere, { hash: head, by }];
      }
      confirm();
    },
  };
}
