import { expect, it } from 'vitest';
import { PairingRig, SECOND } from './rig.ts';

it('a pairing that is called off at once ends, though nothing of it had begun', async () => {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone");
  const [laptop, phone] = [rig.device(0), rig.device(1)];
  await laptop.serve();
  const link = await rig.invite(laptop);
  const joined = phone.join(link);
  // The store is still being read.
  while (phone.running?.joining === undefined) await Promise.resolve();
  await phone.running.joining.cancel();
  await joined;
  await rig.pass(5 * SECOND);
  expect(phone.result).toEqual({ refused: 'join-cancelled' });
  expect(laptop.inviting.requests()).toEqual([]);
});
