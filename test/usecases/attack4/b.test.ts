import { expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import { craft } from './evil.ts';
import { additionBody } from '../../support/found-mesh.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { createAdministration } from '../../../src/usecases/membership/administer.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import type { EntryHash } from '../../../src/entities/roster/entry.ts';
import { revocation } from '../../../src/entities/roster/compose.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
const { hash } = nodePrimitives;

it('rename with many namings', async () => {
  const rig = await Rig.met({ devices: 2 });
  const { laptop, phone } = rig;
  for (let i = 0; i < 40; i++) phone.messenger.log.write({ kind: 'rename', target: laptop.id, name: `n${i}` as DeviceName, replaces: [] });
  await rig.pass(MINUTE);
  const a = createAdministration({ hash, self: laptop.id, log: laptop.messenger.log });
  try { console.log('RENAME', a.rename('mine')); } catch (e) { console.log('RENAME THROWS', String(e)); }
});

it('sawHeads: member blocks revocation', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { laptop, phone, pi } = rig;
  for (const d of [laptop, phone]) d.messenger.log.sawHeads(pi.id, [{ author: d.id, sequence: 99, hash: 'ab'.repeat(32) as EntryHash }]);
  for (const d of [laptop, phone]) {
    const a = createAdministration({ hash, self: d.id, log: d.messenger.log });
    console.log('REVOKE', a.revoke(pi.id, 'lost'), a.leave());
  }
  const t = performance.now();
  for (let k = 0; k < 40; k++) laptop.messenger.log.sawHeads(pi.id, Array.from({ length: 512 }, (_, i) => ({ author: laptop.id, sequence: 99, hash: (k * 512 + i).toString(16).padStart(64, '0') as EntryHash })));
  console.log('40 hellos', performance.now() - t);
});

it('800 void peers', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { laptop, phone, pi } = rig;
  await rig.stop(phone);
  const m = pi.messenger.log.membership();
  const engine = pi.engine;
  const t = performance.now();
  for (let i = 0; i < 810; i++) {
    const account = engine.createAccount();
    const self = { id: deriveDeviceId(hash, account.keys), keys: account.keys };
    pi.messenger.log.write(additionBody(m, pi.founder, { self, account, name: `x${i}` }, rig.seeded.bytes(32)));
    account.dispose();
  }
  console.log('adds', performance.now() - t);
  await rig.pass(MINUTE);
  console.log('members', laptop.messenger.log.membership().roster.members.size);
  // revoke with a cut before the additions: they are void
  laptop.messenger.log.write({ kind: 'revoke', target: pi.id, cut: null, reason: 'lost' });
  await rig.pass(MINUTE);
  await rig.stop(pi);
  await rig.start(phone);
  await rig.pass(10 * MINUTE);
  console.log('members', laptop.messenger.log.membership().roster.members.size, phone.messenger.log.membership().roster.members.size, phone.messenger.status().peers.length, laptop.messenger.status().fresh);
  const r = await rig.send(laptop, phone, 'hello?');
  await rig.pass(30 * MINUTE);
  console.log('PAYLOADS', await rig.payloads(phone), await rig.states(laptop, r));
}, 200_000);

it('restored backup, queued revocation: forks itself', async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const { laptop, phone, pi } = rig;
  const tablet = rig.strangers[0]!;
  await rig.pass(MINUTE);
  const image = laptop.disk.image();
  await rig.add(laptop, tablet);
  await rig.pass(2 * SECOND);
  rig.crash(laptop);
  laptop.disk.restore(image);
  await rig.revoke(phone, pi);
  await rig.pass(SECOND);
  console.log('waiting', rig.post.waiting(laptop.id));
  await rig.start(laptop);
  await rig.pass(HOUR);
  for (const d of [laptop, phone, tablet]) {
    const { roster } = d.messenger.log.membership();
    console.log('FORKS', d.name, [...roster.forks.keys()], 'tablet', roster.devices.get(tablet.id)?.status, d.incidents.map((i) => i.what));
  }
});
