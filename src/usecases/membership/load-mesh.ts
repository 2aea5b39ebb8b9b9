/** The mesh as the store has it: the entries that were admitted, and what they mean. */
import type { Hash } from '../../entities/crypto.ts';
import { type DeviceId, deviceIdBytes } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Party } from '../../entities/pair-keys.ts';
import { type Entry, hashBytes } from '../../entities/roster/entry.ts';
import { decodeEntry } from '../../entities/roster/entry-codec.ts';
import { type Membership, restoreMembership } from '../../entities/roster/membership.ts';
import type { MeshView } from '../messaging/messenger.ts';
import type { Keystore } from '../ports/keystore.ts';

/** Throws `store-damaged` where the entries are not a whole log. */
export async function loadMesh(hash: Hash, keystore: Pick<Keystore, 'read' | 'keys'>): Promise<Membership> {
  const entries: Entry[] = [];
  for (const key of keystore.keys('entry')) {
    const bytes = await keystore.read('entry', key);
    const entry = bytes === undefined ? undefined : decodeEntry(hash, bytes);
    if (entry === undefined || 'refused' in entry || entry.ok.hash !== key) {
      throw damaged('a membership entry is not what its name says');
    }
    entries.push(entry.ok);
  }
  // The store keeps no order. A chain's own does not depend on it, nor does what the entries mean.
  entries.sort((a, b) => a.sequence - b.sequence || (a.hash < b.hash ? -1 : 1));
  const founding = entries.findIndex((entry) => entry.mesh === null);
  if (founding >= 0) entries.unshift(...entries.splice(founding, 1));
  const membership = restoreMembership(hash, entries);
  if ('refused' in membership) throw damaged(`its membership log is refused as ${membership.refused}`);
  return membership.ok;
}

/** What messaging has to know of it. */
export function viewOf({ mesh, roster }: Membership, self: DeviceId): MeshView {
  const peers: Party[] = [];
  for (const id of roster.members) {
    const device = roster.devices.get(id);
    if (id !== self && device !== undefined) peers.push({ id, keys: device.keys });
  }
  return {
    mesh,
    peers,
    digest: roster.digest,
    heads: roster.heads.map(({ author, sequence, hash }) => ({
      author: deviceIdBytes(author),
      sequence,
      hash: hashBytes(hash),
    })),
  };
}

const damaged = (detail: string): MeshError => new MeshError('store-damaged', { detail });
