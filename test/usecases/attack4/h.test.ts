import { it } from 'vitest';
import { HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import { additionBody } from '../../support/found-mesh.ts';

for (const mode of ['plain', 'restart', 'dropAcks'] as const) it(`void and back ${mode}`, async () => {
  const rig = await Rig.met({ devices: 3, strangers: 1 });
  const { laptop, phone, pi } = rig; const t = rig.strangers[0]!;
  await rig.add(pi, t);
  await rig.pass(MINUTE);
  await rig.send(t, laptop, 't0'); await rig.send(laptop, t, 'l0');
  await rig.pass(MINUTE);
  if (mode === 'dropAcks') rig.post.fate = (p) => rig.items(p).some((i) => i.kind === 'ack') && !rig.items(p).some((i) => i.kind === 'batch') ? 'drop' : 'deliver';
  else rig.post.keepApart(laptop.id, t.id);
  await rig.send(t, laptop, 't1'); await rig.send(laptop, t, 'l1');
  await rig.pass(5 * SECOND);
  laptop.messenger.log.write({ kind: 'revoke', target: pi.id, cut: null, reason: 'lost' });
  await rig.pass(SECOND);
  rig.post.reunite(); rig.post.fate = () => 'deliver';
  await rig.pass(HOUR);
  const st = () => [laptop, phone, t].map((d) => d.messenger.log.membership().roster.devices.get(t.id)?.status);
  console.log('VOID', mode, st(), await rig.payloads(t), await rig.payloads(laptop));
  if (mode === 'restart') { await rig.restart(laptop); await rig.restart(t); await rig.pass(MINUTE); }
  const log = laptop.messenger.log;
  log.write(additionBody(log.membership(), laptop.founder, t.founder, rig.seeded.bytes(32)));
  if (mode === 'restart') { await rig.settle(); await rig.restart(laptop); await rig.restart(t); }
  await rig.pass(HOUR);
  await rig.send(laptop, t, 'l2'); await rig.send(t, [laptop, phone], 't2');
  await rig.pass(HOUR);
  console.log('PAY', st(), await rig.payloads(t), await rig.payloads(laptop), laptop.incidents.map((i) => i.what), t.incidents.map((i) => i.what), t.messenger.status().counts);
}, 60000);
