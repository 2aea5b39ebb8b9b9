/** The membership log as an inviter sends it, and whether a newcomer can accept it. */

import { equal } from '../../entities/bytes.ts';
import type { Hash } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { MeshId } from '../../entities/mesh-id.ts';
import type { Result } from '../../entities/result.ts';
import { admit } from '../../entities/roster/admission.ts';
import { type Entry, isKind } from '../../entities/roster/entry.ts';
import { decodeEntry } from '../../entities/roster/entry-codec.ts';
import { foundMembership, type Membership } from '../../entities/roster/membership.ts';
import type { VerifySignature } from '../../entities/roster/signing.ts';

export interface ReceivedLogParts {
  readonly hash: Hash;
  readonly verify: VerifySignature;
  readonly self: DeviceId;
  readonly inviter: DeviceId;
  readonly mesh: MeshId;
  /** What this device holds so far; it counts as well where it is of the same mesh. */
  readonly held: Membership;
}

export type LogRefusal =
  /** Not a whole log of this mesh, or one in which the inviter may add nobody. */
  | 'log-unacceptable'
  /** This device was removed from the mesh, or has left it. */
  | 'join-removed';

export function readLog(
  parts: ReceivedLogParts,
  bytes: readonly Uint8Array[],
): Result<Membership, LogRefusal> {
  const { hash, verify, self, inviter, mesh, held } = parts;
  const entries: Entry[] = [];
  for (const one of bytes) {
    const entry = decodeEntry(hash, one);
    if ('refused' in entry) return { refused: 'log-unacceptable' };
    entries.push(entry.ok);
  }
  const [genesis, ...rest] = entries;
  if (genesis === undefined) return { refused: 'log-unacceptable' };
  const founded = foundMembership(hash, verify, genesis, mesh);
  if ('refused' in founded) return { refused: 'log-unacceptable' };
  const context = { hash, verify, self };
  const step = admit(context, founded.ok, rest);
  if (step.outcomes.some(({ outcome }) => outcome !== 'admitted' && outcome !== 'already')) {
    return { refused: 'log-unacceptable' };
  }
  // A device that returns keeps what it holds: its own entries above all, or it would write them a second time.
  const whole = held.mesh === mesh ? admit(context, held, entries).membership : step.membership;
  for (const { roster } of [step.membership, whole]) {
    if (!roster.members.has(inviter)) return { refused: 'log-unacceptable' };
    const status = roster.devices.get(self)?.status;
    if (status === 'removed' || status === 'left') return { refused: 'join-removed' };
  }
  return { ok: whole };
}

/** Whether the inviter has added this device in this very pairing, and it counts. */
export function isAdded(
  { log, roster }: Membership,
  { self, inviter }: ReceivedLogParts,
  transcript: Uint8Array,
): boolean {
  return (
    roster.members.has(self) &&
    [...log.values()].some(
      (entry) =>
        isKind(entry, 'add') &&
        entry.author.id === inviter &&
        entry.body.device === self &&
        equal(entry.body.transcript, transcript),
    )
  );
}
