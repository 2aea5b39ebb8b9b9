import { describe, expect, it } from 'vitest';
import type { Entry, EntryHash } from '../../../src/entities/roster/entry.ts';
import type { Group } from '../../../src/entities/roster/groups.ts';
import { actor, add, alice, follow, gossip, household, phone, pi, type Seat, tablet } from './cast.ts';

const groupOf = (seat: Seat): Group | undefined => seat.membership.roster.groups[0];
const members = (seat: Seat) => [...(groupOf(seat)?.members ?? [])].sort();
const ids = (...actors: { id: string }[]) => actors.map((one) => one.id).sort();

function withGroup(): { laptop: Seat; mobile: Seat; group: EntryHash; added: Entry } {
  const { laptop, mobile } = household();
  const group = laptop.write({ kind: 'group-create', name: pi.name }).hash;
  const added = laptop.write({ kind: 'group-add', group, devices: [phone.id, pi.id] });
  gossip([laptop, mobile]);
  return { laptop, mobile, group, added };
}

describe('a group', () => {
  it('has the devices that were added and are members of the mesh', () => {
    const { laptop, mobile } = withGroup();
    expect(groupOf(mobile)).toEqual(groupOf(laptop));
    expect(members(laptop)).toEqual(ids(phone, pi));
    laptop.revoke(pi);
    expect(members(laptop)).toEqual(ids(phone));
  });

  it('loses what a removal saw, and keeps what was added at the same time or later', () => {
    const { laptop, mobile, group, added } = withGroup();
    laptop.write({ kind: 'group-remove', group, devices: [pi.id], adds: [added.hash] });
    expect(members(laptop)).toEqual(ids(phone));
    mobile.write({ kind: 'group-add', group, devices: [pi.id] });
    gossip([laptop, mobile]);
    expect(members(laptop)).toEqual(ids(phone, pi));
    expect(groupOf(mobile)).toEqual(groupOf(laptop));
  });

  it('loses what a device took away that was itself removed, and does not gain what it adds later', () => {
    const { laptop, mobile, group, added } = withGroup();
    const base = mobile.write({ kind: 'rename', target: phone.id, name: phone.name, replaces: [] });
    laptop.receive([base]);
    const removal = follow(phone, base, {
      kind: 'group-remove',
      group,
      devices: [pi.id],
      adds: [added.hash],
    });
    const addition = follow(phone, removal, { kind: 'group-add', group, devices: [tablet.id] });
    laptop.receive([removal, addition]);
    expect(members(laptop)).toEqual(ids(phone, tablet));
    laptop.write({ kind: 'revoke', target: phone.id, cut: base.hash, reason: 'lost' });
    expect(members(laptop)).toEqual([]);
  });

  it('that was deleted stays deleted', () => {
    const { laptop, mobile, group } = withGroup();
    laptop.write({ kind: 'group-delete', group });
    mobile.write({ kind: 'group-add', group, devices: [tablet.id] });
    gossip([laptop, mobile]);
    expect(mobile.membership.roster.groups).toEqual([]);
  });

  it('has the last name, and of two given at once the same everywhere', () => {
    const { laptop, mobile, group } = withGroup();
    const one = laptop.write({ kind: 'group-rename', group, name: alice.name, replaces: [] });
    const two = mobile.write({ kind: 'group-rename', group, name: phone.name, replaces: [] });
    gossip([laptop, mobile]);
    expect(groupOf(laptop)?.name).toBe(one.hash > two.hash ? alice.name : phone.name);
    expect(groupOf(mobile)?.namings).toEqual([one.hash, two.hash].sort());
    const replaces = groupOf(mobile)?.namings ?? [];
    mobile.write({ kind: 'group-rename', group, name: tablet.name, replaces });
    gossip([laptop, mobile]);
    expect(groupOf(laptop)?.name).toBe(tablet.name);
  });
});

describe('a device', () => {
  const nameOf = (seat: Seat) => seat.membership.roster.devices.get(pi.id)?.name;

  it('has the name it was added with until it is renamed, by itself or by another member', () => {
    const { laptop, mobile } = household();
    expect(nameOf(laptop)).toBe(pi.name);
    const first = laptop.write({ kind: 'rename', target: pi.id, name: alice.name, replaces: [] });
    expect(nameOf(laptop)).toBe(alice.name);
    mobile.receive([first]);
    mobile.write({ kind: 'rename', target: pi.id, name: phone.name, replaces: [first.hash] });
    gossip([laptop, mobile]);
    expect(nameOf(laptop)).toBe(phone.name);
  });

  it('is called as before when the one who renamed it turns out not to be trusted', () => {
    const { laptop, mobile } = household();
    laptop.receive([mobile.write({ kind: 'rename', target: pi.id, name: tablet.name, replaces: [] })]);
    laptop.write({ kind: 'revoke', target: phone.id, cut: null, reason: 'lost' });
    expect(nameOf(laptop)).toBe(pi.name);
  });

  it('with a name that cannot be shown is a device like any other', () => {
    const { laptop } = household();
    const newcomer = actor('newcomer');
    const body = { ...add(laptop.membership.mesh, alice, newcomer), name: undefined };
    laptop.write(body);
    expect(laptop.membership.roster.devices.get(newcomer.id)).toMatchObject({
      status: 'member',
      name: undefined,
    });
  });
});
