/** A member that says too much about the membership, and what the others are spared. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import type { MeshId } from '../../../src/entities/mesh-id.ts';
import { attachSignature } from '../../../src/entities/roster/compose.ts';
import { type Entry, type EntryHash, hashContent } from '../../../src/entities/roster/entry.ts';
import { encodeContent } from '../../../src/entities/roster/entry-codec.ts';
import { entrySignable } from '../../../src/entities/roster/signing.ts';
import { mostInFlight } from '../../../src/usecases/messaging/dispatch.ts';
import { DAY, MINUTE, Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const { hash } = nodePrimitives;

const meshOf = (device: RigDevice): MeshId => device.messenger.log.membership().mesh;
const sizeAt = (device: RigDevice): number => device.messenger.log.membership().log.size;
const made = (number: number): EntryHash => number.toString(16).padStart(64, 'f') as EntryHash;

/** An entry that changes nothing, anywhere in a chain of its author. */
function idle(
  by: RigDevice,
  mesh: MeshId,
  sequence: number,
  previous: EntryHash | null,
  createdAt = 0,
): Entry {
  const body = { kind: 'rename', target: by.id, name: undefined, replaces: [] } as const;
  const author = { kind: 'device', id: by.id } as const;
  const content = encodeContent({ mesh, author, sequence, previous, heads: [], body, createdAt });
  const entryHash = hashContent(hash, content);
  const signable = entrySignable(entryHash);
  return attachSignature(hash, { hash: entryHash, content, signable }, by.founder.account.sign(signable));
}

function chain(by: RigDevice, mesh: MeshId, length: number, createdAt: number): Entry[] {
  const entries: Entry[] = [];
  for (let i = 1; i <= length; i++) {
    entries.push(idle(by, mesh, i, entries.at(-1)?.hash ?? null, createdAt));
  }
  return entries;
}

describe('a member that forks its chain more often than a hello has room for', () => {
  it('does not keep the others from agreeing with each other, once it is out', async () => {
    const rig = await Rig.met({ devices: 3 });
    const { laptop, phone, pi } = rig;
    const mesh = meshOf(pi);
    pi.messenger.log.admit(Array.from({ length: 520 }, (_, i) => idle(pi, mesh, 1, null, i)));
    await rig.pass(MINUTE);
    await rig.revoke(laptop, pi);
    await rig.pass(MINUTE);
    await rig.stop(pi);
    expect(phone.messenger.log.membership().roster.heads.length).toBeGreaterThan(512);
    for (const device of [laptop, phone]) await rig.restart(device);
    await rig.pass(MINUTE);
    for (const device of [laptop, phone]) expect(device.count('item-malformed')).toBe(0);
    // Hellos alone can say that this was lost.
    rig.post.fate = () => 'drop';
    await rig.send(laptop, phone, 'lost at first');
    await rig.pass(SECOND);
    rig.post.fate = () => 'deliver';
    await rig.restart(laptop);
    await rig.pass(MINUTE);
    expect(await rig.payloads(phone)).toEqual(['lost at first']);
  });
});

describe('a member that builds on entries that do not exist', () => {
  it('does not keep the others from asking for those that do', async () => {
    const rig = await Rig.met({ devices: 4 });
    const { laptop, phone, pi } = rig;
    const tablet = rig.device(3);
    const mesh = meshOf(pi);
    const junk = Array.from({ length: 300 }, (_, i) => idle(pi, mesh, 1000 + i, made(i)));
    for (const device of [laptop, phone]) device.messenger.log.admit(junk);
    await rig.stop(pi);
    await rig.stop(tablet);
    // Two branches of the same chain, one at each: what is missing has to be asked for by its hash.
    rig.post.keepApart(laptop.id, phone.id);
    laptop.messenger.log.admit(chain(tablet, mesh, 5, 1));
    phone.messenger.log.admit(chain(tablet, mesh, 3, 2));
    await rig.pass(MINUTE);
    rig.post.reunite();
    await rig.pass(DAY);
    for (const device of [laptop, phone]) {
      expect(device.messenger.log.membership().roster.forks.has(tablet.id)).toBe(true);
    }
    expect(sizeAt(laptop)).toBe(sizeAt(phone));
  });
});

describe('a member that claims to hold what this device has written', () => {
  it('is believed a few times and no more', async () => {
    const rig = await Rig.met({ devices: 2 });
    const { laptop, phone } = rig;
    const { log } = phone.messenger;
    const claimed = Array.from({ length: 40 }, (_, i) => idle(phone, meshOf(phone), 1, null, i));
    log.sawHeads(
      laptop.id,
      claimed.map((entry) => ({ author: phone.id, sequence: 1, hash: entry.hash })),
    );
    expect(log.isBehind()).toBe(true);
    // It is no claim any more where the entry has come.
    log.admit(claimed.slice(0, 16));
    expect(log.isBehind()).toBe(false);
  });
});

describe('a member that has added many others', () => {
  const dispatchAmong = (standings: readonly ('member' | 'void')[]): number =>
    mostInFlight(standings.map((standing) => ({ standing })));

  it('does not narrow the window of those that are left when these are void', () => {
    const few = dispatchAmong(['member', 'member']);
    expect(few).toBe(100);
    expect(dispatchAmong(['member', 'member', ...Array<'void'>(900).fill('void')])).toBe(few);
  });

  it('never closes it', () => {
    expect(dispatchAmong(Array<'member'>(100).fill('member'))).toBe(8);
    expect(dispatchAmong(Array<'member'>(900).fill('member'))).toBe(1);
  });
});
