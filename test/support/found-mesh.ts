/**
 * A mesh as pairing would have left it: the first device founded it and added the others, with their consent; all
 * of them hold the same log.
 */
import { nobleHash as hash } from '../../src/adapters/noble/primitives.ts';
import { parseDeviceName } from '../../src/entities/device-name.ts';
import type { Party } from '../../src/entities/pair-keys.ts';
import { admit } from '../../src/entities/roster/admission.ts';
import { attachSignature, compose, composeGenesis } from '../../src/entities/roster/compose.ts';
import type { Body, Entry } from '../../src/entities/roster/entry.ts';
import { foundMembership, type Membership } from '../../src/entities/roster/membership.ts';
import { consentSignable } from '../../src/entities/roster/signing.ts';
import { verifier } from '../../src/usecases/membership/mesh-log.ts';
import type { Account, Engine } from '../../src/usecases/ports/engine.ts';
import type { Change, Keystore } from '../../src/usecases/ports/keystore.ts';

export interface Founder {
  readonly self: Party;
  readonly account: Pick<Account, 'sign'>;
  readonly name: string;
}

export interface FoundingParts {
  readonly engine: Pick<Engine, 'verify'>;
  readonly now: number;
  readonly random: (length: number) => Uint8Array;
}

export function foundMesh(parts: FoundingParts, [founder, ...others]: readonly Founder[]): Membership {
  if (founder === undefined) throw new Error('a mesh of nobody');
  const { engine, now, random } = parts;
  const { keys, id } = founder.self;
  const verify = verifier(engine);
  const genesis = { kind: 'genesis', keys, name: nameOf(founder), salt: random(32) } as const;
  const draft = composeGenesis(hash, id, genesis, now);
  const first = attachSignature(hash, draft, founder.account.sign(draft.signable));
  const founded = foundMembership(hash, verify, first);
  if ('refused' in founded) throw new Error(`the beginning of a mesh was refused: ${founded.refused}`);
  return others.reduce((membership, other) => {
    const entry = additionBy(parts, membership, founder, other);
    const step = admit({ hash, verify, self: id }, membership, [entry]);
    if (step.admitted.length !== 1) throw new Error(`an addition was ${step.outcomes[0]?.outcome}`);
    return step.membership;
  }, founded.ok);
}

/** The entry by which one device adds another, with that one's consent. */
export function additionBy(
  { now, random }: Pick<FoundingParts, 'now' | 'random'>,
  membership: Membership,
  inviter: Founder,
  newcomer: Founder,
): Entry {
  const body = additionBody(membership, inviter, newcomer, random(32));
  const draft = compose(hash, membership, inviter.self.id, body, now);
  return attachSignature(hash, draft, inviter.account.sign(draft.signable));
}

export function additionBody(
  { mesh }: Pick<Membership, 'mesh'>,
  inviter: Pick<Founder, 'self'>,
  newcomer: Founder,
  transcript: Uint8Array,
): Body {
  const { keys, id } = newcomer.self;
  const consented = consentSignable(hash, { mesh, transcript, inviter: inviter.self.keys, newcomer: keys });
  const consent = newcomer.account.sign(consented);
  return { kind: 'add', device: id, keys, name: nameOf(newcomer), transcript, consent };
}

/** What puts this log into a store, in place of the one that is there. */
export function logChanges(keystore: Pick<Keystore, 'keys'>, { log }: Pick<Membership, 'log'>): Change[] {
  const entries = [...log.values()];
  const kept = new Set<string>(entries.map((entry) => entry.hash));
  return [
    ...keystore
      .keys('entry')
      .filter((key) => !kept.has(key))
      .map((key): Change => ({ kind: 'entry', key, remove: true })),
    ...entries.map((entry, order): Change => {
      return { kind: 'entry', key: entry.hash, put: { order, bytes: entry.bytes } };
    }),
  ];
}

function nameOf({ name }: Founder) {
  const parsed = parseDeviceName(name);
  if ('refused' in parsed) throw new Error(`a name was refused: ${parsed.refused}`);
  return parsed.ok;
}
