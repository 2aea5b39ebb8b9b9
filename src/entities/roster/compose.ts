/** New entries of this device, ready to be signed. The clock and the signature come from outside. */
import type { Hash } from '../crypto.ts';
import type { DeviceId } from '../device-id.ts';
import {
  type Body,
  CONFIRM_APPLIED_MAX,
  CONFIRM_HEADS_MAX,
  type ConfirmBody,
  type Content,
  type Entry,
  type EntryHash,
  type GenesisBody,
  HEADS_MAX,
  hashContent,
  isKind,
  type RevokeBody,
  type RevokeReason,
  SIGNATURE_BYTES,
} from './entry.ts';
import { decodeEntry, encodeContent, encodeEntry } from './entry-codec.ts';
import type { Membership } from './membership.ts';
import { foldRoster, type Roster } from './roster.ts';
import { entrySignable, type Signable } from './signing.ts';

export interface Draft {
  readonly hash: EntryHash;
  readonly content: Uint8Array;
  readonly signable: Signable;
}

export function composeGenesis(hash: Hash, author: DeviceId, body: GenesisBody, createdAt: number): Draft {
  const signer = { kind: 'device', id: author } as const;
  return draft(hash, { mesh: null, author: signer, sequence: 1, previous: null, heads: [], body, createdAt });
}

/** The next entry of `author`'s chain. A device whose own chain is forked goes on where it is longest. */
export function compose(
  hash: Hash,
  membership: Membership,
  author: DeviceId,
  body: Body,
  createdAt: number,
): Draft {
  const last = lastEntry(membership, author);
  return draft(hash, {
    mesh: membership.mesh,
    author: { kind: 'device', id: author },
    sequence: (last?.sequence ?? 0) + 1,
    previous: last?.hash ?? null,
    heads: membership.roster.frontier.filter((head) => head !== last?.hash).slice(0, HEADS_MAX),
    body,
    createdAt,
  });
}

/** Throws where the draft is not one that other devices would decode: that is a mistake of the caller. */
export function attachSignature(hash: Hash, { content }: Draft, signature: Uint8Array): Entry {
  const entry = decodeEntry(hash, encodeEntry(content, signature));
  if ('refused' in entry) throw new Error(`an entry of our own does not decode: ${entry.refused}`);
  return entry.ok;
}

/** The last accepted entry of a device; of several branches the longest, then the one with the lowest hash. */
export function lastEntry(membership: Membership, author: DeviceId): Entry | undefined {
  let last: Entry | undefined;
  for (const head of membership.roster.heads) {
    if (head.author === author && head.sequence > (last?.sequence ?? 0)) last = membership.log.get(head.hash);
  }
  return last;
}

/** A revocation cut where this device last accepted an entry of the target. */
export function revocation(membership: Membership, target: DeviceId, reason: RevokeReason): RevokeBody {
  return { kind: 'revoke', target, cut: lastEntry(membership, target)?.hash ?? null, reason };
}

/**
 * What `author` has not confirmed yet: revocations, and the entries that prove the lowest fork of a device.
 * Forks are confirmed like revocations because they too keep entries out (rule 6), and whoever admitted one
 * before must tell the others.
 */
export function unconfirmed(membership: Membership, author: DeviceId): EntryHash[] {
  const confirmed = new Set<EntryHash>();
  const due = new Set<EntryHash>();
  for (const entry of membership.log.values()) {
    if (isKind(entry, 'revoke') || isKind(entry, 'leave')) due.add(entry.hash);
    if (isKind(entry, 'confirm') && entry.author.id === author) {
      for (const hash of entry.body.applied) confirmed.add(hash);
    }
  }
  for (const fork of membership.roster.forks.values()) {
    const proven = fork.entries.filter((hash) => confirmed.has(hash)).length >= 2;
    if (!proven) for (const hash of fork.entries.slice(0, 2)) due.add(hash);
  }
  return [...due].filter((hash) => !confirmed.has(hash)).sort();
}

/**
 * The CONFIRMs that `author` owes; usually one or none. They name every head that is held, what they confirm
 * included. Compose and admit them one after the other, in the commit that applied what they confirm.
 */
export function confirmations(membership: Membership, author: DeviceId): ConfirmBody[] {
  const due = unconfirmed(membership, author);
  const held = membership.roster.heads.map((head) => head.hash);
  const bodies: ConfirmBody[] = [];
  while (due.length > 0 || (bodies.length > 0 && held.length > 0)) {
    const applied = due.splice(0, CONFIRM_APPLIED_MAX);
    const before = bodies.at(-1)?.applied ?? [];
    bodies.push({
      kind: 'confirm',
      applied: applied.length > 0 ? applied : before,
      heads: held.splice(0, CONFIRM_HEADS_MAX),
    });
  }
  return bodies;
}

/** Which members have said that they applied a revocation, and which are still awaited. */
export function confirmationsOf(
  membership: Membership,
  revocationHash: EntryHash,
): { readonly confirmed: readonly DeviceId[]; readonly awaited: readonly DeviceId[] } {
  const by = new Set<DeviceId>();
  for (const entry of membership.log.values()) {
    if (isKind(entry, 'confirm') && entry.body.applied.includes(revocationHash)) by.add(entry.author.id);
  }
  const members = [...membership.roster.members].sort();
  return {
    confirmed: members.filter((id) => by.has(id)),
    awaited: members.filter((id) => !by.has(id)),
  };
}

/** What a draft would do if it were admitted here: for showing people before they decide. */
export function preview(hash: Hash, membership: Membership, unsigned: Draft): Roster {
  const entry = attachSignature(hash, unsigned, new Uint8Array(SIGNATURE_BYTES));
  return foldRoster(hash, membership.genesis, [...membership.log.values(), entry]);
}

function draft(hash: Hash, content: Content): Draft {
  const bytes = encodeContent(content);
  const entryHash = hashContent(hash, bytes);
  return { hash: entryHash, content: bytes, signable: entrySignable(entryHash) };
}
