/** The mesh as the store has it: the entries that were admitted, and what they mean. */
import type { Hash } from '../../entities/crypto.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Entry } from '../../entities/roster/entry.ts';
import { decodeEntry } from '../../entities/roster/entry-codec.ts';
import { type Membership, restoreMembership } from '../../entities/roster/membership.ts';
import type { Keystore } from '../ports/keystore.ts';

/** Throws `store-damaged` where the entries are not a whole log. */
export async function loadMesh(hash: Hash, keystore: Pick<Keystore, 'read' | 'keys'>): Promise<Membership> {
  const entries: { readonly order: number; readonly entry: Entry }[] = [];
  for (const key of keystore.keys('entry')) {
    const record = await keystore.read('entry', key);
    const entry = record === undefined ? undefined : decodeEntry(hash, record.bytes);
    if (record === undefined || entry === undefined || 'refused' in entry || entry.ok.hash !== key) {
      throw damaged('a membership entry is not what its name says');
    }
    entries.push({ order: record.order, entry: entry.ok });
  }
  entries.sort((a, b) => a.order - b.order);
  const membership = restoreMembership(
    hash,
    entries.map(({ entry }) => entry),
  );
  if ('refused' in membership) throw damaged(`its membership log is refused as ${membership.refused}`);
  return membership.ok;
}

const damaged = (detail: string): MeshError => new MeshError('store-damaged', { detail });
