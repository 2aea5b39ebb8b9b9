import { expect, test } from 'vitest';
import type { Receipt } from '../../../src/usecases/messaging/outbox.ts';
import { MINUTE, Rig, SECOND } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

const known = async (device: RigDevice, { id }: Receipt): Promise<number | undefined> =>
  (await device.messenger.delivery(id))?.to[0]?.attempts;

test('a message that waits for the broker was put into no envelope', async () => {
  const rig = await Rig.met();
  rig.post.disconnect(rig.laptop.id);
  const receipt = await rig.send(rig.laptop, rig.phone, 'waits');
  await rig.pass(MINUTE);
  expect(await known(rig.laptop, receipt)).toBe(0);
  expect(rig.laptop.messenger.outbox().map(({ to }) => to.map(({ attempts }) => attempts))).toEqual([[0]]);
});

test('each envelope that holds it counts, and how it ended says how many there were', async () => {
  const rig = await Rig.met();
  rig.post.fate = (packet) => (rig.batches([packet]).length > 0 ? 'drop' : 'deliver');
  const receipt = await rig.send(rig.laptop, rig.phone, 'lost at first');
  await rig.pass(SECOND);
  expect(await known(rig.laptop, receipt)).toBe(1);
  await rig.pass(10 * MINUTE);
  const lost = rig.batches(rig.sent(rig.laptop, rig.phone)).length;
  expect(lost).toBeGreaterThan(1);
  expect(await known(rig.laptop, receipt)).toBe(lost);
  rig.post.fate = () => 'deliver';
  await rig.pass(2 * 60 * MINUTE);
  expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
  const all = rig.batches(rig.sent(rig.laptop, rig.phone)).length;
  expect(all).toBeGreaterThan(lost);
  expect(await known(rig.laptop, receipt)).toBe(all);
  await rig.restart(rig.laptop);
  expect(await known(rig.laptop, receipt)).toBe(all);
});

test('after a crash it is still known that there was one, and that there was none', async () => {
  const rig = await Rig.met();
  rig.post.fate = () => 'drop';
  rig.post.disconnect(rig.laptop.id);
  const offered = await rig.send(rig.laptop, rig.phone, 'goes out later');
  expect(await known(rig.laptop, offered)).toBe(0);
  rig.post.connect(rig.laptop.id, true);
  await rig.pass(SECOND);
  expect(await known(rig.laptop, offered)).toBe(1);
  rig.post.disconnect(rig.laptop.id);
  const waiting = await rig.send(rig.laptop, rig.phone, 'does not');
  rig.crash(rig.laptop);
  rig.post.outcome = () => 'offline';
  await rig.laptop.start();
  expect(await known(rig.laptop, offered)).toBe(1);
  expect(await known(rig.laptop, waiting)).toBe(0);
});
