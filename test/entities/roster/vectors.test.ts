import { createPublicKey, verify as verifyEd25519 } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/entities/bytes.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
import { type DeviceKeys, parseDeviceKeys } from '../../../src/entities/keys.ts';
import { admit } from '../../../src/entities/roster/admission.ts';
import type { Entry } from '../../../src/entities/roster/entry.ts';
import { decodeEntry } from '../../../src/entities/roster/entry-codec.ts';
import { foundMembership } from '../../../src/entities/roster/membership.ts';
import { foldRoster } from '../../../src/entities/roster/roster.ts';
import { consentSignable, type VerifySignature } from '../../../src/entities/roster/signing.ts';
import { must, sha256 } from './cast.ts';

interface Vectors {
  readonly devices: readonly { name: string; signing: string; agreement: string; id: string }[];
  readonly mesh: string;
  readonly genesis: string;
  readonly consent: Record<'inviter' | 'newcomer' | 'transcript' | 'label' | 'digest' | 'signature', string>;
  readonly accept: readonly { title: string; bytes: string; hash: string; kind: string; author: string }[];
  readonly refuse: readonly { title: string; bytes: string; refused: string }[];
  readonly admission: readonly {
    title: string;
    log: readonly string[];
    entry: string;
    outcome: string;
    reason?: string;
    missing?: readonly string[];
  }[];
  readonly rosters: readonly {
    title: string;
    entries: readonly string[];
    digest: string;
    heads: readonly string[];
    member: readonly string[];
    void: readonly string[];
    left: readonly string[];
    removed: readonly string[];
    forks: readonly string[];
    names: Record<string, string | null>;
    groups: readonly { id: string; name: string | null; members: readonly string[] }[];
  }[];
}

const file = join(import.meta.dirname, '../../vectors/entries.json');
const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'));

const bytes = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);
const entry = (text: string): Entry => must(decodeEntry(sha256, bytes(text)));
const genesis = entry(vectors.genesis);

const verify: VerifySignature = (key, label, digest, signature) => {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
  const text = Buffer.from(`trusted-mesh ${label} ${toHex(digest)}`);
  return verifyEd25519(null, text, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature);
};

function keysOf(id: string): DeviceKeys {
  const device = vectors.devices.find((one) => one.id === id);
  if (device === undefined) throw new Error(`no device ${id} among the vectors`);
  return must(parseDeviceKeys(bytes(device.signing), bytes(device.agreement)));
}

describe('the vectors for entries', () => {
  for (const device of vectors.devices) {
    it(`derive the id of the ${device.name}`, () => {
      expect(deriveDeviceId(sha256, keysOf(device.id))).toBe(device.id);
    });
  }

  for (const { title, bytes: given, ...expected } of vectors.accept) {
    it(`decode: ${title}`, () => {
      const decoded = entry(given);
      expect({ ...decoded, kind: decoded.body.kind, author: decoded.author.id }).toMatchObject(expected);
      expect(toHex(decoded.bytes)).toBe(given);
    });
  }

  for (const { title, bytes: given, refused } of vectors.refuse) {
    it(`refuse: ${title}`, () => {
      expect(decodeEntry(sha256, bytes(given))).toEqual({ refused });
    });
  }

  it('derive the consent and its signature', () => {
    const { inviter, newcomer, transcript, label, digest, signature } = vectors.consent;
    const signable = consentSignable(sha256, {
      mesh: must(foundMembership(sha256, verify, genesis)).mesh,
      transcript: bytes(transcript),
      inviter: keysOf(inviter),
      newcomer: keysOf(newcomer),
    });
    expect({ label: signable.label, digest: toHex(signable.digest) }).toEqual({ label, digest });
    expect(verify(keysOf(newcomer).signing, label, signable.digest, bytes(signature))).toBe(true);
  });

  for (const { title, log, entry: candidate, outcome, reason, missing } of vectors.admission) {
    it(`admit: ${title}`, () => {
      const founded = must(foundMembership(sha256, verify, entry(log[0] ?? '')));
      expect(founded.mesh).toBe(vectors.mesh);
      const { membership, admitted } = admit({ hash: sha256, verify }, founded, log.map(entry));
      expect(admitted).toHaveLength(log.length - 1);
      const [result] = admit({ hash: sha256, verify }, membership, [entry(candidate)]).outcomes;
      expect(result).toEqual({ outcome, ...(reason && { reason }), ...(missing && { missing }) });
    });
  }

  for (const { title, entries, ...expected } of vectors.rosters) {
    it(`fold: ${title}`, () => {
      const roster = foldRoster(sha256, genesis, entries.map(entry));
      const devices = [...roster.devices.values()];
      const ids = (status: string) => devices.filter((d) => d.status === status).map((d) => d.id);
      expect({
        digest: toHex(roster.digest),
        heads: roster.heads.map((head) => head.hash),
        member: ids('member'),
        void: ids('void'),
        left: ids('left'),
        removed: ids('removed'),
        forks: [...roster.forks.keys()],
        names: Object.fromEntries(devices.map((d) => [d.id, d.name ?? null])),
        groups: roster.groups.map(({ id, name, members }) => ({
          id,
          name: name ?? null,
          members: [...members],
        })),
      }).toEqual(expected);
    });
  }
});
