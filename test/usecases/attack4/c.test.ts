import { expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import { isKind } from '../../../src/entities/roster/entry.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';

for (const variant of ['rename', 'add'] as const) it(`restored backup, queued revocation ${variant}`, async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const { laptop, phone, pi } = rig;
  const tablet = rig.strangers[0]!;
  await rig.send(phone, laptop, 'x');
  await rig.pass(MINUTE);
  const image = laptop.disk.image();
  const from = rig.post.log.length;
  if (variant === 'rename') laptop.messenger.log.write({ kind: 'rename', target: laptop.id, name: 'n' as DeviceName, replaces: [] });
  else { await rig.add(laptop, tablet); await rig.stop(tablet);}
  await rig.pass(200);
  console.log('phone -> laptop after', rig.kinds(rig.sent(phone, laptop, from)));
  rig.crash(laptop);
  laptop.disk.restore(image);
  await rig.revoke(phone, pi);
  await rig.pass(SECOND);
  console.log('waiting', rig.post.waiting(laptop.id), rig.kinds(rig.sent(phone, laptop, from)));
  await rig.start(laptop);
  await rig.pass(HOUR);
  await rig.start(tablet).catch(() => 0);
  await rig.pass(HOUR);
  console.log(laptop.messenger.status().counts);
  for (const d of [laptop, phone]) {
    const { roster, log } = d.messenger.log.membership();
    console.log('FORKS', d.name, [...roster.forks.keys()], 'tablet', roster.devices.get(tablet.id)?.status, d.incidents.map((i) => i.what), [...log.values()].map((e) => `${e.author.id.slice(0,3)}${e.sequence}${e.body.kind}`).join(' '));
  }
});
