/** What a person does about the membership, on running devices. */
import { expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { type DeviceName, parseDeviceName } from '../../../src/entities/device-name.ts';
import type { EntryHash } from '../../../src/entities/roster/entry.ts';
import { type Administration, createAdministration } from '../../../src/usecases/membership/administer.ts';
import { HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import type { RigDevice } from '../messaging/rig-device.ts';

const { hash } = nodePrimitives;

function at(device: RigDevice): Administration {
  return createAdministration({ hash, self: device.id, log: device.messenger.log });
}

function parsedName(text: string): DeviceName {
  const name = parseDeviceName(text);
  if ('refused' in name) throw new Error(`refused as ${name.refused}`);
  return name.ok;
}

const nameOf = (observer: RigDevice, device: RigDevice): string | undefined =>
  observer.messenger.log.membership().roster.devices.get(device.id)?.name;

it('shows, before a revocation, whom the device has added, and whom it would take along', async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const [tablet] = rig.strangers;
  if (tablet === undefined) throw new Error('no stranger');
  await rig.add(rig.pi, tablet);
  await rig.pass(MINUTE);
  const { added, voided } = at(rig.laptop).consequences(rig.pi.id);
  expect(added.map(({ id }) => id)).toEqual([tablet.id]);
  // What it wrote before the laptop's last look at it stays.
  expect(voided).toEqual([]);
  await rig.revoke(rig.laptop, rig.pi);
  expect(rig.laptop.messenger.log.membership().roster.members).toContain(tablet.id);
});

it('revokes a device once, itself never, and says who has confirmed', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { laptop, phone, pi } = rig;
  expect(at(laptop).revoke(laptop.id, 'lost')).toEqual({ refused: 'device-self' });
  rig.post.keepApart(laptop.id, phone.id);
  expect(at(laptop).revoke(pi.id, 'lost')).toHaveProperty('ok');
  await rig.settle();
  expect(at(laptop).standing(pi.id)).toEqual({ confirmed: [laptop.id], awaited: [phone.id] });
  expect(at(laptop).revoke(pi.id, 'lost')).toEqual({ refused: 'already-removed' });
  rig.post.reunite();
  await rig.pass(HOUR);
  expect(at(laptop).standing(pi.id).awaited).toEqual([]);
});

it('a device whose inviter was removed before learns that it is void, and can then revoke nobody', async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const [late] = rig.strangers;
  if (late === undefined) throw new Error('no stranger');
  for (const other of [rig.laptop, rig.phone]) rig.post.keepApart(rig.pi.id, other.id);
  await rig.add(rig.pi, late);
  await rig.revoke(rig.laptop, rig.pi);
  await rig.pass(SECOND);
  rig.post.reunite();
  await rig.pass(HOUR);
  expect(late.messenger.farewell.standing()).toBe('void');
  expect(at(late).revoke(rig.phone.id, 'lost')).toEqual({ refused: 'device-void' });
  expect(at(rig.pi).rename('a removed Pi')).toEqual({ refused: 'device-void' });
});

it('renames this device everywhere, and says what is wrong with a name', async () => {
  const rig = await Rig.met({ devices: 2 });
  expect(at(rig.phone).rename('')).toEqual({ refused: 'name-empty' });
  expect(at(rig.phone).rename('a better phone')).toEqual({ ok: 'a better phone' });
  const written = rig.phone.messenger.log.membership().log.size;
  expect(at(rig.phone).rename('a better phone')).toEqual({ ok: 'a better phone' });
  expect(rig.phone.messenger.log.membership().log.size).toBe(written);
  await rig.pass(SECOND);
  expect(nameOf(rig.laptop, rig.phone)).toBe('a better phone');
});

it('renames this device however many names it was given by others at once', async () => {
  const rig = await Rig.met({ devices: 2 });
  const { laptop, phone } = rig;
  for (let i = 0; i < 70; i++) {
    const name = parsedName(`a name of ${i}`);
    phone.messenger.log.write({ kind: 'rename', target: laptop.id, name, replaces: [] });
  }
  await rig.pass(MINUTE);
  expect(at(laptop).rename('mine')).toEqual({ ok: 'mine' });
  await rig.pass(MINUTE);
  expect(nameOf(phone, laptop)).toBe('mine');
  expect(at(laptop).rename('mine after all')).toEqual({ ok: 'mine after all' });
  await rig.pass(MINUTE);
  expect(nameOf(phone, laptop)).toBe('mine after all');
});

it('writes nothing while entries of its own are known to be missing, so that it never forks itself', async () => {
  const rig = await Rig.met({ devices: 2 });
  const image = rig.phone.disk.image();
  expect(at(rig.phone).rename('a name of a life that is forgotten')).toHaveProperty('ok');
  await rig.pass(SECOND);
  rig.crash(rig.phone);
  rig.phone.disk.restore(image);
  // What the laptop holds reaches the phone, but for the entries.
  rig.post.fate = (packet) =>
    rig.items(packet).some((item) => item.kind === 'entries') ? 'drop' : 'deliver';
  await rig.start(rig.phone);
  await rig.pass(10 * SECOND);
  expect(at(rig.phone).rename('another name')).toEqual({ refused: 'device-behind' });
  rig.post.fate = () => 'deliver';
  await rig.pass(HOUR);
  expect(at(rig.phone).rename('another name')).toEqual({ ok: 'another name' });
  await rig.pass(SECOND);
  expect(nameOf(rig.laptop, rig.phone)).toBe('another name');
  expect(rig.laptop.messenger.log.membership().roster.forks.size).toBe(0);
});

it('removes a device that claims to know more of this one than it knows itself, and is believed no more', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { log } = rig.laptop.messenger;
  log.sawHeads(rig.pi.id, [{ author: rig.laptop.id, sequence: 99, hash: 'f'.repeat(64) as EntryHash }]);
  expect(at(rig.laptop).rename('a laptop')).toEqual({ refused: 'device-behind' });
  expect(at(rig.laptop).revoke(rig.pi.id, 'lost')).toHaveProperty('ok');
  expect(log.isBehind()).toBe(false);
  expect(at(rig.laptop).rename('a laptop')).toEqual({ ok: 'a laptop' });
  await rig.pass(MINUTE);
  expect(at(rig.phone).standing(rig.pi.id).awaited).toEqual([]);
});
