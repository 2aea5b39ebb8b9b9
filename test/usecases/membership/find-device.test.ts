import { expect, test } from 'vitest';
import type { Roster } from '../../../src/entities/roster/roster.ts';
import { findDevice } from '../../../src/usecases/membership/find-device.ts';
import { accomplice, alice, found, phone, pi, Seat, tablet } from '../../entities/roster/cast.ts';

const laptop = new Seat(alice, found(alice));
laptop.add(phone);
laptop.add(pi);
const roster = (): Roster => laptop.membership.roster;

const idOf = (text: string): string | undefined => {
  const result = findDevice(roster(), text);
  return 'ok' in result ? result.ok.id : result.refused;
};

test('a device is found by its id, the first six characters of it, its fingerprint, and its name', () => {
  const grouped = (pi.id.match(/.{4}/g) ?? []).join(' ');
  for (const text of [pi.id, pi.id.slice(0, 6), pi.id.toUpperCase(), grouped, 'the Pi']) {
    expect(idOf(text)).toBe(pi.id);
  }
});

test('five characters of an id are too few, and a name has to be whole', () => {
  for (const text of [pi.id.slice(0, 5), 'the', 'the pi', '', accomplice.id]) {
    expect(idOf(text)).toBe('device-unknown');
  }
});

test('two members of one name are told apart by nobody but the person', () => {
  const twin = { ...accomplice, name: pi.name };
  laptop.add(twin);
  const result = findDevice(roster(), 'the Pi');
  expect(result).toMatchObject({ refused: 'device-ambiguous' });
  const candidates = 'candidates' in result ? result.candidates.map(({ id }) => id) : [];
  expect([...candidates].sort()).toEqual([pi.id, accomplice.id].sort());
});

test('a member comes before a former one of the same name', () => {
  laptop.revoke(pi);
  expect(idOf('the Pi')).toBe(accomplice.id);
  expect(idOf(pi.id)).toBe(pi.id);
  laptop.add(tablet);
  laptop.revoke(tablet);
  expect(idOf(tablet.name)).toBe(tablet.id);
});
