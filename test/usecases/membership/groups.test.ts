/** What a person does about groups, on logs that are gossiped by hand. */
import { describe, expect, it, test } from 'vitest';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import {
  type EntryHash,
  GROUP_DEVICES_MAX,
  type GroupId,
  isKind,
  REPLACES_MAX,
} from '../../../src/entities/roster/entry.ts';
import type { Group } from '../../../src/entities/roster/groups.ts';
import { createGroups, type Groups } from '../../../src/usecases/membership/groups.ts';
import {
  type Actor,
  actor,
  alice,
  found,
  gossip,
  household,
  must,
  phone,
  pi,
  Seat,
  second,
  tablet,
} from '../../entities/roster/cast.ts';

function at(seat: Seat, isBehind = false): Groups {
  return createGroups({
    self: seat.actor.id,
    log: {
      membership: () => seat.membership,
      write: (body) => seat.write(body),
      isBehind: () => isBehind,
    },
  });
}

const ids = (...actors: readonly Actor[]): DeviceId[] => actors.map(({ id }) => id).sort();

function groupOf(seat: Seat, id: GroupId): Group {
  const group = seat.membership.roster.groups.find((one) => one.id === id);
  if (group === undefined) throw new Error('there is no such group');
  return group;
}

const members = (seat: Seat, id: GroupId): DeviceId[] => [...groupOf(seat, id).members].sort();
const written = (seat: Seat): number => seat.membership.log.size;

const make = (seat: Seat, name: string, ...others: readonly Actor[]): GroupId =>
  must(at(seat).create(name, ids(...others)) as { ok: GroupId });

describe('creating', () => {
  it('makes a group of the named devices and of this one, which everybody sees', () => {
    const { laptop, mobile } = household();
    const group = make(laptop, '@phones', phone, phone);
    gossip([laptop, mobile]);
    expect(groupOf(mobile, group).name).toBe('phones');
    expect(members(mobile, group)).toEqual(ids(alice, phone));
  });

  it.each([
    ['', 'name-empty'],
    ['@', 'name-empty'],
    ['two\nlines', 'name-unprintable'],
    ['x'.repeat(65), 'name-too-long'],
    ['all', 'group-name-reserved'],
    ['@ALL', 'group-name-reserved'],
    ['ａｌｌ', 'group-name-reserved'],
    ['@@phones', 'group-name-reserved'],
    ['0123456789abcdef'.repeat(4), 'group-name-reserved'],
  ])('refuses the name %j, and a rename to it', (name, refused) => {
    const { laptop } = household();
    const group = make(laptop, 'phones');
    const before = written(laptop);
    expect(at(laptop).create(name, [])).toEqual({ refused });
    expect(at(laptop).rename(group, name)).toEqual({ refused });
    expect(written(laptop)).toBe(before);
  });

  it('refuses a name that is in use, and a device that is no member, and writes nothing then', () => {
    const { laptop } = household();
    make(laptop, 'phones');
    laptop.revoke(tablet);
    const before = written(laptop);
    expect(at(laptop).create('phones', [])).toEqual({ refused: 'group-name-taken' });
    expect(at(laptop).create('pads', ids(pi, tablet))).toEqual({
      refused: 'device-not-member',
      device: tablet.id,
    });
    expect(at(laptop).create('pads', ids(second))).toMatchObject({ refused: 'device-not-member' });
    expect(written(laptop)).toBe(before);
  });

  it('once more, by one who did not hear the answer, finds what it has made and nobody else has', () => {
    const { laptop, mobile } = household();
    const group = make(laptop, 'phones', phone);
    const before = written(laptop);
    expect(at(laptop).create('phones', ids(phone), true)).toEqual({ ok: group });
    expect(written(laptop)).toBe(before);
    gossip([laptop, mobile]);
    expect(at(mobile).create('phones', [], true)).toEqual({ refused: 'group-name-taken' });
  });

  it('takes several entries where one cannot hold so many devices', () => {
    const laptop = new Seat(alice, found(alice));
    const many = Array.from({ length: GROUP_DEVICES_MAX + 6 }, (_, i) => actor(`device ${i}`));
    for (const one of many) laptop.add(one);
    const group = make(laptop, 'many', ...many);
    expect(members(laptop, group)).toEqual(ids(alice, ...many));
    expect(at(laptop).remove(group, ids(...many))).toEqual({ ok: group });
    expect(members(laptop, group)).toEqual(ids(alice));
  });
});

describe('adding', () => {
  it('writes nothing for those who are in it, and only members of the mesh can be', () => {
    const { laptop } = household();
    const group = make(laptop, 'phones', phone);
    const before = written(laptop);
    expect(at(laptop).add(group, ids(phone, alice))).toEqual({ ok: group });
    expect(written(laptop)).toBe(before);
    expect(at(laptop).add(group, ids(phone, pi))).toEqual({ ok: group });
    const entry = [...laptop.membership.log.values()].at(-1);
    expect(entry?.body).toEqual({ kind: 'group-add', group, devices: [pi.id] });
    laptop.revoke(tablet);
    expect(at(laptop).add(group, ids(tablet))).toEqual({ refused: 'device-not-member', device: tablet.id });
    expect(at(laptop).add('f'.repeat(64) as GroupId, [])).toEqual({ refused: 'group-unknown' });
  });
});

describe('removing', () => {
  it('takes away the additions that were seen, and a later one counts again', () => {
    const { laptop, mobile } = household();
    const group = make(laptop, 'phones', phone, pi);
    gossip([laptop, mobile]);
    // Both put the tablet in, and neither has seen it from the other.
    at(laptop).add(group, ids(tablet));
    at(mobile).add(group, ids(tablet));
    expect(at(laptop).remove(group, ids(tablet, pi))).toEqual({ ok: group });
    expect(members(laptop, group)).toEqual(ids(alice, phone));
    gossip([laptop, mobile]);
    expect(members(laptop, group)).toEqual(ids(alice, phone, tablet));
    expect(at(laptop).remove(group, ids(tablet))).toEqual({ ok: group });
    expect(members(laptop, group)).toEqual(ids(alice, phone));
    expect(at(mobile).add(group, ids(pi))).toEqual({ ok: group });
    gossip([laptop, mobile]);
    expect(members(laptop, group)).toEqual(ids(alice, phone, pi));
    expect(members(mobile, group)).toEqual(ids(alice, phone, pi));
  });

  it('refuses one who is not in it, unless it may have been done already', () => {
    const { laptop } = household();
    const group = make(laptop, 'phones', phone);
    const before = written(laptop);
    const absent = { refused: 'device-not-in-group', device: pi.id };
    expect(at(laptop).remove(group, [phone.id, pi.id])).toEqual(absent);
    expect(written(laptop)).toBe(before);
    expect(at(laptop).remove(group, [phone.id, pi.id], true)).toEqual({ ok: group });
    expect(members(laptop, group)).toEqual(ids(alice));
  });

  it('takes several entries where one cannot name so many additions', () => {
    const { laptop } = household();
    const group = make(laptop, 'phones');
    for (let i = 0; i < 300; i++) laptop.write({ kind: 'group-add', group, devices: [pi.id, phone.id] });
    expect(at(laptop).remove(group, ids(pi))).toEqual({ ok: group });
    expect(members(laptop, group)).toEqual(ids(alice, phone));
    const adds = [...laptop.membership.log.values()].flatMap((entry) =>
      isKind(entry, 'group-remove') ? [entry.body.adds.length] : [],
    );
    expect(adds).toEqual([256, 44]);
  });
});

describe('renaming', () => {
  it('gives a name that is free, once', () => {
    const { laptop, mobile } = household();
    const group = make(laptop, 'phones');
    make(laptop, 'pads');
    expect(at(laptop).rename(group, 'pads')).toEqual({ refused: 'group-name-taken' });
    expect(at(laptop).rename(group, '@handsets')).toEqual({ ok: 'handsets' });
    const before = written(laptop);
    expect(at(laptop).rename(group, 'handsets')).toEqual({ ok: 'handsets' });
    expect(written(laptop)).toBe(before);
    gossip([laptop, mobile]);
    expect(groupOf(mobile, group).name).toBe('handsets');
  });

  it('replaces all names that were given at once, however many', () => {
    const { laptop } = household();
    const group = make(laptop, 'phones');
    for (let i = 0; i < 2 * REPLACES_MAX; i++) {
      laptop.write({ kind: 'group-rename', group, name: pi.name, replaces: [] as EntryHash[] });
    }
    expect(at(laptop).rename(group, 'handsets')).toEqual({ ok: 'handsets' });
    expect(groupOf(laptop, group).name).toBe('handsets');
    expect(groupOf(laptop, group).namings).toHaveLength(2);
  });
});

describe('deleting', () => {
  it('is for ever, and frees the name', () => {
    const { laptop, mobile } = household();
    const group = make(laptop, 'phones', phone);
    gossip([laptop, mobile]);
    expect(at(mobile).delete(group)).toEqual({ ok: group });
    expect(at(laptop).add(group, ids(pi))).toEqual({ ok: group });
    gossip([laptop, mobile]);
    expect(laptop.membership.roster.groups).toEqual([]);
    for (const change of [
      at(laptop).delete(group),
      at(laptop).add(group, []),
      at(laptop).remove(group, []),
      at(laptop).rename(group, 'other'),
    ]) {
      expect(change).toEqual({ refused: 'group-unknown' });
    }
    expect(at(laptop).create('phones', [])).toHaveProperty('ok');
  });
});

test('a device that is behind can take away and no more; one that is no member can do nothing', () => {
  const { laptop, mobile } = household();
  const group = make(laptop, 'phones', phone, pi);
  gossip([laptop, mobile]);
  const behind = at(mobile, true);
  const refused = { refused: 'device-behind' };
  expect([behind.create('x', []), behind.add(group, ids(tablet)), behind.rename(group, 'y')]).toEqual([
    refused,
    refused,
    refused,
  ]);
  expect(behind.remove(group, ids(pi))).toEqual({ ok: group });
  expect(behind.delete(group)).toEqual({ ok: group });
  mobile.receive([laptop.revoke(phone)]);
  const outside = { refused: 'device-void' };
  const removed = at(mobile);
  expect([
    removed.create('x', []),
    removed.add(group, []),
    removed.remove(group, []),
    removed.rename(group, 'y'),
    removed.delete(group),
  ]).toEqual([outside, outside, outside, outside, outside]);
});
