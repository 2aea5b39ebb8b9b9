import { it } from 'vitest';
import { DAY, HOUR, MINUTE, Rig, SECOND } from '../messaging/rig.ts';
import { craft } from './evil.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import type { Entry, EntryHash } from '../../../src/entities/roster/entry.ts';

for (const junked of [false, true]) it(`fork repair with junk ${junked}`, async () => {
  const rig = await Rig.met({ devices: 4 });
  const { laptop, phone, pi } = rig; const tablet = rig.device(3);
  await rig.stop(tablet);
  const m = pi.messenger.log.membership();
  if (junked) {
    const junk = Array.from({ length: 300 }, (_, i) => craft(pi, m, { kind: 'rename', target: pi.id, name: `j${i}` as DeviceName, replaces: [] }, { sequence: 1000 + i, previous: i.toString(16).padStart(64, 'f') as EntryHash }));
    laptop.messenger.log.admit(junk); phone.messenger.log.admit(junk);
  }
  await rig.stop(pi);
  const chain = (n: number, p: string): Entry[] => { const out: Entry[] = []; for (let i = 0; i < n; i++) out.push(craft(tablet, m, { kind: 'rename', target: tablet.id, name: `${p}${i}` as DeviceName, replaces: [] }, { sequence: i + 1, previous: out.at(-1)?.hash ?? null })); return out; };
  rig.post.keepApart(laptop.id, phone.id);
  laptop.messenger.log.admit(chain(5, 'a'));
  phone.messenger.log.admit(chain(3, 'b'));
  await rig.pass(MINUTE);
  rig.post.reunite();
  await rig.pass(3 * DAY);
  console.log('JUNK', junked, laptop.messenger.log.membership().log.size, phone.messenger.log.membership().log.size, [...phone.messenger.log.membership().roster.forks.keys()].length);
}, 60000);
