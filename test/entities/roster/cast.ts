/**
 * Devices whose signatures are keyed hashes, and seats that hold a log each, for histories of the membership
 * log. A seat does what a daemon does at every step: admit, and in the same step confirm what it applied.
 */
import { createHash, createHmac } from 'node:crypto';
import { concat } from '../../../src/entities/bytes.ts';
import type { Hash } from '../../../src/entities/crypto.ts';
import { type DeviceId, deriveDeviceId } from '../../../src/entities/device-id.ts';
import { type DeviceName, parseDeviceName } from '../../../src/entities/device-name.ts';
import { type DeviceKeys, parseDeviceKeys } from '../../../src/entities/keys.ts';
import type { MeshId } from '../../../src/entities/mesh-id.ts';
import type { Result } from '../../../src/entities/result.ts';
import { type AdmissionStep, admit } from '../../../src/entities/roster/admission.ts';
import { answer, heads, missing, wanted } from '../../../src/entities/roster/anti-entropy.ts';
import {
  attachSignature,
  compose,
  composeGenesis,
  confirmations,
  revocation,
} from '../../../src/entities/roster/compose.ts';
import {
  type AddBody,
  type Body,
  type Content,
  type Entry,
  type EntryHash,
  hashContent,
} from '../../../src/entities/roster/entry.ts';
import { encodeContent } from '../../../src/entities/roster/entry-codec.ts';
import { foundMembership, type Membership } from '../../../src/entities/roster/membership.ts';
import {
  consentSignable,
  entrySignable,
  type Signable,
  type VerifySignature,
} from '../../../src/entities/roster/signing.ts';

export const sha256: Hash = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

export function must<T, Reason extends string>(result: Result<T, Reason>): T {
  if ('refused' in result) throw new Error(`refused: ${result.refused}`);
  return result.ok;
}

export interface Actor {
  readonly id: DeviceId;
  readonly keys: DeviceKeys;
  readonly name: DeviceName;
}

const actors = new Map<string, Actor>();

export function actor(name: string): Actor {
  const known = actors.get(name);
  if (known !== undefined) return known;
  const key = (kind: string): Uint8Array => {
    const bytes = new Uint8Array(createHash('sha256').update(`${kind} of ${name}`).digest());
    bytes[31] = (bytes[31] ?? 0) & 0x3f;
    return bytes;
  };
  const keys = must(parseDeviceKeys(key('signing key'), key('agreement key')));
  const made = { id: deriveDeviceId(sha256, keys), keys, name: must(parseDeviceName(name)) };
  actors.set(name, made);
  return made;
}

/** The cast everyone knows, in an order of their own. */
export const alice = actor("Alice's laptop");
export const phone = actor("Alice's phone");
export const pi = actor('the Pi');
export const tablet = actor('a stolen tablet');
export const accomplice = actor('an accomplice');
export const second = actor('a second accomplice');

function keyedSignature(signing: Uint8Array, label: string, digest: Uint8Array, salt: number): Uint8Array {
  const half = createHmac('sha256', concat(signing, Uint8Array.of(salt)))
    .update(label)
    .update(digest)
    .digest();
  return concat(half, new Uint8Array(31), Uint8Array.of(salt));
}

/** `salt` makes another valid signature of the same statement. */
export function sign(signer: Actor, signable: Signable, salt = 0): Uint8Array {
  return keyedSignature(signer.keys.signing, signable.label, signable.digest, salt);
}

export const verify: VerifySignature = (key, label, digest, signature) => {
  const expected = keyedSignature(key, label, digest, signature[63] ?? 0);
  return Buffer.from(expected).equals(signature);
};

/** Any content whatever, properly signed by its author. */
export function forge(author: Actor, content: Omit<Content, 'author' | 'createdAt'>, salt = 0): Entry {
  const bytes = encodeContent({ ...content, author: { kind: 'device', id: author.id }, createdAt: 0 });
  const hash = hashContent(sha256, bytes);
  const signable = entrySignable(hash);
  return attachSignature(sha256, { hash, content: bytes, signable }, sign(author, signable, salt));
}

export function add(mesh: MeshId, inviter: Actor, newcomer: Actor): AddBody {
  const transcript = sha256(inviter.keys.signing, newcomer.keys.signing);
  const consent = consentSignable(sha256, {
    mesh,
    transcript,
    inviter: inviter.keys,
    newcomer: newcomer.keys,
  });
  return {
    kind: 'add',
    device: newcomer.id,
    keys: newcomer.keys,
    name: newcomer.name,
    transcript,
    consent: sign(newcomer, consent),
  };
}

export function found(founder: Actor): Membership {
  const body = { kind: 'genesis', keys: founder.keys, name: founder.name, salt: new Uint8Array(32) } as const;
  const draft = composeGenesis(sha256, founder.id, body, 0);
  const entry = attachSignature(sha256, draft, sign(founder, draft.signable));
  return must(foundMembership(sha256, verify, entry));
}

/** The next entry of `author` after `before`, which may lie anywhere in its chain. */
export function follow(author: Actor, before: Entry, body: Body, heads: readonly EntryHash[] = []): Entry {
  const { mesh, sequence, hash } = before;
  return forge(author, { mesh, sequence: sequence + 1, previous: hash, heads, body });
}

export class Seat {
  readonly actor: Actor;
  membership: Membership;
  readonly confirms: boolean;

  constructor(owner: Actor, membership: Membership, confirms = true) {
    this.actor = owner;
    this.membership = membership;
    this.confirms = confirms;
  }

  get isMember(): boolean {
    return this.membership.roster.members.has(this.actor.id);
  }

  compose(body: Body): Entry {
    const draft = compose(sha256, this.membership, this.actor.id, body, 0);
    return attachSignature(sha256, draft, sign(this.actor, draft.signable));
  }

  /** Composes, signs and admits, and confirms where there is something to confirm. */
  write(body: Body): Entry {
    const entry = this.compose(body);
    this.receive([entry]);
    return entry;
  }

  receive(entries: readonly Entry[]): AdmissionStep {
    const wasMember = this.isMember;
    const context = { hash: sha256, verify, self: this.actor.id };
    const step = admit(context, this.membership, entries);
    this.membership = step.membership;
    if (this.confirms && wasMember) {
      for (const body of confirmations(this.membership, this.actor.id)) {
        this.membership = admit(context, this.membership, [this.compose(body)]).membership;
      }
    }
    return step;
  }

  add(newcomer: Actor): Entry {
    return this.write(add(this.membership.mesh, this.actor, newcomer));
  }

  revoke(target: Actor): Entry {
    return this.write(revocation(this.membership, target.id, 'lost'));
  }

  /** A newcomer's first roster: what the inviter holds, and nothing else. */
  invite(newcomer: Actor): Seat {
    this.add(newcomer);
    return new Seat(newcomer, { ...this.membership, pool: new Map() });
  }

  holds(entry: Entry): boolean {
    return this.membership.log.has(entry.hash);
  }

  /** Hands over what `other` lacks, and what it asks for by hash. */
  tell(other: Seat): void {
    other.receive(missing(this.membership, heads(other.membership)));
    other.receive(answer(this.membership, wanted(other.membership)));
  }
}

/** Until nobody learns anything any more. */
export function gossip(seats: readonly Seat[]): void {
  for (let round = 0; round < 200; round++) {
    const before = seats.map((seat) => seat.membership.log.size);
    for (const from of seats) for (const to of seats) if (from !== to) from.tell(to);
    if (seats.every((seat, i) => seat.membership.log.size === before[i])) return;
  }
  throw new Error('gossip does not come to an end');
}

export function names(membership: Membership): string[] {
  return [...membership.roster.members].map((id) => membership.roster.devices.get(id)?.name ?? '?').sort();
}

/** Alice and three devices of hers, two of whom hold the whole log. */
export function household(): { laptop: Seat; mobile: Seat } {
  const laptop = new Seat(alice, found(alice));
  const mobile = laptop.invite(phone);
  laptop.add(pi);
  laptop.add(tablet);
  gossip([laptop, mobile]);
  return { laptop, mobile };
}
