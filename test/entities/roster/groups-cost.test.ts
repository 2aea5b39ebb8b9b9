/** Entries that name much: they cost what there is in the log, not what they say. */
import { expect, it } from 'vitest';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import type { Entry, EntryHash, GroupId } from '../../../src/entities/roster/entry.ts';
import { foldGroups } from '../../../src/entities/roster/groups.ts';
import type { Standing } from '../../../src/entities/roster/standing.ts';
import { Seeded } from '../../simulation/seeded.ts';

const seeded = new Seeded(11);
const hex = (bytes: number): string => Buffer.from(seeded.bytes(bytes)).toString('hex');
const GROUP = hex(32) as GroupId;
const MEMBERS = Array.from({ length: 8 }, () => hex(16) as DeviceId);

function removals(count: number, devices: number): Map<EntryHash, Entry> {
  const entries = Array.from({ length: count }, () => {
    const body = {
      kind: 'group-remove',
      group: GROUP,
      devices: Array.from({ length: devices }, () => hex(16) as DeviceId),
      adds: Array.from({ length: 256 }, () => hex(32) as EntryHash),
    } as const;
    const hash = hex(32) as EntryHash;
    // No more of an entry than the fold looks at: hundreds of them would take minutes to sign.
    return [hash, { hash, body } as unknown as Entry] as const;
  });
  return new Map(entries);
}

/** What the fold asks of it. */
const standing = {
  everMembers: new Map(MEMBERS.map((id) => [id, undefined])),
  members: new Set(MEMBERS),
  counts: () => true,
} as unknown as Standing;

function cost(log: Map<EntryHash, Entry>): number {
  const took = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    foldGroups(log, standing);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return took.sort((a, b) => a - b)[2] ?? 0;
}

it('a removal that names sixty-four devices costs little more than one that names a single one', () => {
  const [few, many] = [removals(300, 1), removals(300, 64)];
  cost(few);
  cost(many);
  // Every pair of a device and an addition would be sixty-four times as much.
  expect(cost(many)).toBeLessThan(cost(few) * 16 + 5000);
});
