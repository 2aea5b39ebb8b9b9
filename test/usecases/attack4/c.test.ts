import { it } from 'vitest';
import { HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';

it(`restored backup, queued revocation`, async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const { laptop, phone, pi } = rig;
  await rig.send(phone, laptop, 'x');
  await rig.pass(MINUTE);
  const image = laptop.disk.image();
  const from = rig.post.log.length;
  laptop.messenger.log.write({ kind: 'rename', target: laptop.id, name: 'n' as DeviceName, replaces: [] });
  await rig.pass(200);
  rig.crash(laptop);
  laptop.disk.restore(image);
  rig.post.forget(laptop.id);
  rig.post.keepApart(pi.id, laptop.id);
  await rig.revoke(phone, pi);
  await rig.pass(SECOND);
  await rig.start(laptop);
  await rig.pass(10);
  const show = () => [...laptop.messenger.log.membership().log.values()].map((e) => `${e.author.id.slice(0,3)}${e.sequence}${e.body.kind}`).join(' ');
  console.log(show(), laptop.messenger.status().counts);
  for (const p of rig.post.log.slice(from)) console.log(p.at, p.from.slice(0,3), '->', p.to.slice(0,3), rig.envelope(p).kind, rig.items(p).map((i) => i.kind === 'entries' ? `entries${i.entries.length}` : i.kind).join('+'));
  await rig.pass(HOUR);
  console.log(show());
});
