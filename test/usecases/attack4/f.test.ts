import { it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import { craft } from './evil.ts';
import { additionBody } from '../../support/found-mesh.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import type { EntryHash } from '../../../src/entities/roster/entry.ts';

const counts = (rig: Rig, from: number) => { const c: Record<string, number> = {}; for (const p of rig.post.log.slice(from)) { const e = rig.envelope(p); const k = e.kind === 'sealed' || e.kind === 'initial' ? rig.items(p).map((i) => i.kind).join('+') : e.kind; c[k] = (c[k] ?? 0) + 1; } return c; };

it('covered by fabricated heads: traffic', async () => {
  const rig = await Rig.met({ devices: 4 });
  const [laptop, phone, pi] = rig.devices;
  // evil CONFIRM naming 512 fabricated heads
  for (let k = 0; k < 3; k++) pi!.messenger.log.write({ kind: 'confirm', applied: ['cd'.repeat(32) as EntryHash], heads: Array.from({ length: 512 }, (_, i) => (k * 512 + i).toString(16).padStart(64, '0') as EntryHash) });
  await rig.pass(MINUTE);
  const from = rig.post.log.length;
  await rig.pass(DAY);
  console.log('fabricated', rig.post.log.length - from, counts(rig, from));
  await rig.revoke(laptop!, pi!);
  await rig.pass(MINUTE);
  await rig.stop(pi!);
  const f2 = rig.post.log.length;
  await rig.pass(DAY);
  console.log('after', rig.post.log.length - f2, counts(rig, f2));
}, 60000);

it('pool of fabricated pendings: wanted loops?', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { laptop, phone, pi } = rig;
  const m = pi.messenger.log.membership();
  const junk = Array.from({ length: 300 }, (_, i) => craft(pi, m, { kind: 'rename', target: pi.id, name: `j${i}` as DeviceName, replaces: [] }, { sequence: 1000 + i, previous: i.toString(16).padStart(64, 'f') as EntryHash }));
  laptop.messenger.log.admit(junk); phone.messenger.log.admit(junk);
  await rig.pass(MINUTE);
  await rig.revoke(laptop, pi);
  await rig.pass(MINUTE);
  const from = rig.post.log.length;
  await rig.stop(pi);
  await rig.pass(DAY);
  console.log('pool', laptop.messenger.log.membership().pool.size, rig.post.log.length - from, counts(rig, from));
}, 60000);

it('descending forks: confirm amplification', async () => {
  const rig = await Rig.met({ devices: 4 });
  const [laptop, phone, pi] = rig.devices;
  const N = 30;
  for (let i = 0; i < N; i++) pi!.messenger.log.write({ kind: 'rename', target: pi!.id, name: `a${i}` as DeviceName, replaces: [] });
  await rig.pass(MINUTE);
  const m = pi!.messenger.log.membership();
  const chain = [...m.log.values()].filter((e) => e.author.id === pi!.id);
  const size = laptop!.messenger.log.membership().log.size;
  const from = rig.post.log.length;
  for (let s = N - 1; s > 0; s--) {
    pi!.messenger.log.admit([craft(pi!, m, { kind: 'rename', target: pi!.id, name: `b${s}` as DeviceName, replaces: [] }, { sequence: s + 1, previous: chain[s - 1]!.hash })]);
    await rig.pass(SECOND);
  }
  await rig.pass(HOUR);
  console.log('forks grew log by', laptop!.messenger.log.membership().log.size - size, 'for', N - 1, counts(rig, from), laptop!.incidents.length);
}, 60000);

it('removed device spam', async () => {
  const rig = await Rig.met({ devices: 3 });
  const { laptop, phone, pi } = rig;
  rig.post.keepApart(laptop.id, phone.id);
  await rig.revoke(laptop, phone);
  await rig.revoke(phone, laptop);
  await rig.pass(MINUTE); rig.post.reunite();
  const from = rig.post.log.length;
  await rig.pass(7 * DAY);
  console.log('mutual', rig.post.log.length - from, counts(rig, from), rig.devices.map((d) => d.messenger.farewell.standing()));
}, 60000);
