import { expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import type { Packet } from '../messaging/post.ts';

it('answer held back', async () => {
  const rig = await Rig.met({ devices: 2 });
  const { laptop, phone } = rig;
  await rig.pass(15 * DAY).catch(() => 0);
  console.log('idle fresh', laptop.messenger.status().fresh);
  // greet now, answer held
  const held: Packet[] = [];
  rig.post.fate = (p) => { if (p.from === phone.id) { held.push(p); return 'drop'; } return 'deliver'; };
  await rig.pass(30 * DAY);
  console.log('stale', laptop.messenger.status().fresh, held.length, laptop.messenger.status().counts);
  rig.post.fate = (p) => p.from === phone.id ? 'drop' : 'deliver';
  const now = rig.clock.elapsed();
  for (const p of held) { if (p.at > now - 15*DAY) continue; rig.post.enqueue(p); await rig.pass(1000);
   if (laptop.messenger.status().fresh) { console.log('FRESH by packet of age days', (now - p.at)/DAY, rig.kinds([p])); break; } }
}, 60000);
it('entries held back', async () => {
  const rig = await Rig.met({ devices: 2 });
  const { laptop, phone } = rig;
  const held: Packet[] = [];
  rig.post.fate = (p) => { if (p.from === phone.id && rig.items(p).some((i) => i.kind === 'entries')) { held.push(p); return 'drop'; } return 'deliver'; };
  phone.messenger.log.write({ kind: 'rename', target: phone.id, name: 'n' as any, replaces: [] });
  await rig.pass(MINUTE);
  rig.post.fate = (p) => p.from === phone.id ? 'drop' : 'deliver';
  await rig.pass(13.5 * DAY);
  console.log('held', held.length, laptop.messenger.status().fresh);
  for (const p of held) rig.post.enqueue(p);
  await rig.pass(2*DAY);
  console.log('FRESH after 15.5 d', laptop.messenger.status().fresh, laptop.messenger.log.membership().log.size);
}, 60000);
