import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { attachSignature, lastEntry } from '../../../src/entities/roster/compose.ts';
import { hashContent, type Body, type Entry, type EntryHash } from '../../../src/entities/roster/entry.ts';
import { encodeContent } from '../../../src/entities/roster/entry-codec.ts';
import { entrySignable } from '../../../src/entities/roster/signing.ts';
import type { Membership } from '../../../src/entities/roster/membership.ts';
import type { RigDevice } from '../messaging/rig-device.ts';
const { hash } = nodePrimitives;
export function craft(by: RigDevice, m: Membership, body: Body, at: { sequence?: number; previous?: EntryHash | null; createdAt?: number } = {}): Entry {
  const last = lastEntry(m, by.id);
  const content = encodeContent({ mesh: m.mesh, author: { kind: 'device', id: by.id }, sequence: at.sequence ?? (last?.sequence ?? 0) + 1,
    previous: at.previous !== undefined ? at.previous : last?.hash ?? null, heads: [], body, createdAt: at.createdAt ?? 1 });
  const h = hashContent(hash, content);
  return attachSignature(hash, { hash: h, content, signable: entrySignable(h) }, by.founder.account.sign(entrySignable(h)));
}
