import { describe, expect, it, test } from 'vitest';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import { EVERYBODY } from '../../../src/entities/roster/circle.ts';
import type { GroupId } from '../../../src/entities/roster/entry.ts';
import { findGroup, groupTitle } from '../../../src/usecases/membership/find-group.ts';
import { alice, found, phone, Seat } from '../../entities/roster/cast.ts';

const laptop = (): Seat => new Seat(alice, found(alice));
const make = (seat: Seat, name: string): GroupId =>
  seat.write({ kind: 'group-create', name: name as DeviceName }).hash;

function meant(seat: Seat, text: string): string {
  const result = findGroup(seat.membership.roster, text);
  return 'ok' in result ? result.ok : result.refused;
}

test('a group is found by its id, the first six characters of it, and its name, with the sign or without', () => {
  const seat = laptop();
  const group = make(seat, 'phones');
  for (const text of [group, group.slice(0, 6), group.toUpperCase(), 'phones']) {
    expect(meant(seat, text)).toBe(group);
    expect(meant(seat, `@${text}`)).toBe(group);
  }
});

test('five characters of an id are too few, and a name has to be whole', () => {
  const seat = laptop();
  const group = make(seat, 'phones');
  for (const text of [group.slice(0, 5), 'phone', 'Phones', '', '@', '@@phones', alice.id]) {
    expect(meant(seat, text)).toBe('group-unknown');
  }
});

test('"all" is everybody, whatever groups others have made', () => {
  const seat = laptop();
  make(seat, 'all');
  expect(meant(seat, 'all')).toBe(EVERYBODY);
  expect(meant(seat, '@all')).toBe(EVERYBODY);
});

test('two groups of one name are told apart by nobody but the person, and by their ids', () => {
  const seat = laptop();
  const both = [make(seat, 'phones'), make(seat, 'phones')] as const;
  const result = findGroup(seat.membership.roster, '@phones');
  expect('candidates' in result ? result.candidates.map(({ id }) => id).sort() : result).toEqual(
    [...both].sort(),
  );
  for (const id of both) expect(meant(seat, id.slice(0, 8))).toBe(id);
});

test('what is the name of one group and the beginning of another one’s id means neither', () => {
  const seat = laptop();
  const group = make(seat, 'phones');
  const other = make(seat, group.slice(0, 6));
  expect(meant(seat, group.slice(0, 6))).toBe('group-ambiguous');
  expect(meant(seat, group.slice(0, 7))).toBe(group);
  expect(meant(seat, other)).toBe(other);
});

describe('what is shown of a group', () => {
  it('is its present name', () => {
    const seat = laptop();
    const group = make(seat, 'phones');
    expect(groupTitle(seat.membership, group)).toBe('phones');
    seat.write({ kind: 'group-rename', group, name: phone.name, replaces: [] });
    expect(groupTitle(seat.membership, group)).toBe(phone.name);
    expect(groupTitle(seat.membership, EVERYBODY)).toBe('all');
  });

  it('is the last name where it was deleted, and the id where nobody has heard of it', () => {
    const seat = laptop();
    const group = make(seat, 'phones');
    const first = seat.write({ kind: 'group-rename', group, name: phone.name, replaces: [] });
    seat.write({ kind: 'group-rename', group, name: 'handsets' as DeviceName, replaces: [first.hash] });
    const other = make(seat, 'pads');
    seat.write({ kind: 'group-rename', group: other, name: 'tablets' as DeviceName, replaces: [first.hash] });
    seat.write({ kind: 'group-delete', group });
    expect(groupTitle(seat.membership, group)).toBe('handsets');
    expect(groupTitle(seat.membership, first.hash)).toBe(first.hash);
    expect(groupTitle(seat.membership, 'f'.repeat(64) as GroupId)).toBe('f'.repeat(64));
  });

  it('is not what somebody called it who was not to be trusted', () => {
    const seat = laptop();
    const mobile = seat.invite(phone);
    const group = make(seat, 'phones');
    mobile.receive([...seat.membership.log.values()]);
    seat.receive([mobile.write({ kind: 'group-rename', group, name: 'mine' as DeviceName, replaces: [] })]);
    seat.write({ kind: 'group-delete', group });
    expect(groupTitle(seat.membership, group)).toBe('mine');
    seat.write({ kind: 'revoke', target: phone.id, cut: null, reason: 'lost' });
    expect(groupTitle(seat.membership, group)).toBe('phones');
  });

  it.each(['all', 'ALL', '@phones', 'f'.repeat(64)])('is the id where it is called %j', (name) => {
    const seat = laptop();
    const group = make(seat, name);
    expect(groupTitle(seat.membership, group)).toBe(group);
    if (name !== 'all') expect(meant(seat, name)).toBe('group-unknown');
  });
});
