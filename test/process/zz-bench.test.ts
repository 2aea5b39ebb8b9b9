import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { makeMesh } from './make-mesh.ts';
import { as, MeshProcess, PROGRAM, up } from './mesh-process.ts';
const median = (xs: number[]) => Math.round(xs.sort((a, b) => a - b)[xs.length >> 1] ?? 0);
test('bench', async () => {
  const b = await startMosquitto();
  const dir = await temporaryDirectory();
  const [l, p] = await makeMesh({ count: 2, dir, brokerUrl: b.url });
  if (!l || !p) throw new Error();
  writeFileSync(join(dir, 'empty.mjs'), '');
  const time = (...a: string[]) => { const s = performance.now(); const r = spawnSync(process.execPath, a, { env: { PATH: process.env.PATH, HOME: '/nonexistent' } }); if (r.status !== 0) throw new Error(String(r.stdout) + r.stderr); return performance.now() - s; };
  const starts: number[] = [];
  for (let i = 0; i < 7; i++) { const s = performance.now(); const d = new MeshProcess(['up', ...as(l)]); await d.saw('ready'); starts.push(performance.now() - s); await d.stop(); }
  const d = await up(l); const d2 = await up(p);
  await new Promise((r) => setTimeout(r, 1500));
  const e: number[] = [], m: number[] = [], o: number[] = [], h: number[] = [], st: number[] = [];
  for (let i = 0; i < 25; i++) {
    e.push(time(join(dir, 'empty.mjs')));
    m.push(time(PROGRAM, 'send', p.deviceId, `n${i}`, '--json', '--home', l.home));
    st.push(time(PROGRAM, 'status', '--json', '--home', l.home));
    h.push(time(PROGRAM, '--help'));
  }
  await d.stop();
  for (let i = 0; i < 11; i++) o.push(time(PROGRAM, 'send', p.deviceId, `n${i}`, '--wait', 'published', ...as(l)));
  await d2.stop();
  process.stdout.write(`RESULT empty ${median(e)} send+daemon ${median(m)} status ${median(st)} help ${median(h)} one-shot published ${median(o)} start-to-ready ${median(starts)}\n`);
  await b.stop();
});
