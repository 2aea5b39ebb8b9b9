import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/adapters/memory/virtual-clock.ts';
import { createCommitCycle } from '../../../src/usecases/commit-cycle.ts';
import { createInbox } from '../../../src/usecases/messaging/inbox.ts';
import { DAY, HOUR, MINUTE, Rig, SECOND, text, words } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

/** Reads with a cursor of this name what there is, and moves it behind that. */
async function readOn(rig: Rig, device: RigDevice, name: string): Promise<string[]> {
  const { inbox } = device.messenger;
  const read: string[] = [];
  for (;;) {
    const messages = await inbox.read(inbox.cursor(name));
    const last = messages.at(-1);
    if (last === undefined) return read;
    read.push(...messages.map(({ payload }) => words(payload)));
    const moving = inbox.move(name, last.after);
    await rig.settle();
    await moving;
  }
}

describe('the inbox', () => {
  it('gives every reader everything once, and remembers across a crash where each stands', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'a');
    await rig.pass(SECOND);
    await rig.send(rig.laptop, rig.phone, 'b');
    await rig.pass(SECOND);
    expect(await readOn(rig, rig.phone, 'one')).toEqual(['a', 'b']);
    await rig.restart(rig.phone);
    await rig.send(rig.laptop, rig.phone, 'c');
    await rig.pass(MINUTE);
    expect(await readOn(rig, rig.phone, 'one')).toEqual(['c']);
    expect(await readOn(rig, rig.phone, 'another')).toEqual(['a', 'b', 'c']);
  });

  it('keeps a reader in its place within a batch', async () => {
    const rig = await Rig.met();
    const to = [rig.phone.id];
    const sending = ['a', 'b', 'c'].map((payload) =>
      rig.laptop.messenger.send({ to, payload: new TextEncoder().encode(payload) }),
    );
    await rig.pass(SECOND);
    await Promise.all(sending);
    const { inbox } = rig.phone.messenger;
    const [first] = await inbox.read(inbox.cursor('r'));
    if (first === undefined) throw new Error('nothing arrived');
    const moving = inbox.move('r', first.after);
    await rig.settle();
    await moving;
    await rig.restart(rig.phone);
    expect(await readOn(rig, rig.phone, 'r')).toEqual(['b', 'c']);
  });

  it('loses what was read a day ago, and its readers stand where they stood even after a restart', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'old');
    await rig.pass(SECOND);
    expect(await readOn(rig, rig.phone, 'one')).toEqual(['old']);
    await rig.pass(DAY - HOUR);
    expect(await rig.payloads(rig.phone)).toEqual(['old']);
    await rig.pass(2 * HOUR);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    await rig.restart(rig.phone);
    await rig.send(rig.laptop, rig.phone, 'new');
    await rig.pass(MINUTE);
    expect(await readOn(rig, rig.phone, 'one')).toEqual(['new']);
  });

  it('keeps what one of two readers has not had, and after thirty days nothing', async () => {
    const rig = await Rig.met();
    const { inbox } = rig.phone.messenger;
    const late = inbox.move('late', inbox.cursor('late'));
    await rig.settle();
    await late;
    await rig.send(rig.laptop, rig.phone, 'kept');
    await rig.pass(SECOND);
    expect(await readOn(rig, rig.phone, 'early')).toEqual(['kept']);
    await rig.pass(29 * DAY);
    expect(await rig.payloads(rig.phone)).toEqual(['kept']);
    await rig.pass(2 * DAY);
    expect(await rig.payloads(rig.phone)).toEqual([]);
  }, 60_000);

  it('keeps nothing longer than the setting says, from the moment it is set', async () => {
    const rig = await Rig.met();
    const { inbox } = rig.phone.messenger;
    const unread = inbox.move('late', inbox.cursor('late'));
    await rig.settle();
    await unread;
    const retain = (put: string): Promise<void> =>
      rig.phone.keystore.commit([{ kind: 'setting', key: 'retention', put }]);
    await rig.send(rig.laptop, rig.phone, 'first');
    await rig.pass(2 * HOUR);
    await rig.send(rig.laptop, rig.phone, 'second');
    await rig.pass(HOUR / 2);
    await retain('2h');
    await inbox.sweep();
    expect(await rig.payloads(rig.phone)).toEqual(['second']);
    await rig.pass(HOUR);
    expect(await rig.payloads(rig.phone)).toEqual(['second']);
    await rig.pass(HOUR);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    await retain('60d');
    await rig.send(rig.laptop, rig.phone, 'third');
    await rig.pass(31 * DAY);
    expect(await rig.payloads(rig.phone)).toEqual(['third']);
  }, 60_000);

  it('loses nothing by a jump of the clock', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'kept');
    await rig.pass(SECOND);
    for (const jump of [365 * DAY, -730 * DAY]) {
      rig.clock.jump(jump);
      await rig.send(rig.laptop, rig.phone, `after ${jump / DAY} days`);
      await rig.pass(10 * MINUTE);
    }
    await rig.restart(rig.phone);
    await rig.pass(10 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['kept', 'after 365 days', 'after -730 days']);
  });

  it('that is full acknowledges nothing and says so, and takes everything once there is room', async () => {
    const rig = await Rig.met();
    await rig.stop(rig.phone);
    await rig.phone.withStore((store) =>
      store.commit([
        {
          kind: 'inbox',
          key: `1.${1024 * 1024 * 1024}.0`,
          put: { from: rig.laptop.id, stream: new Uint8Array(16), receivedAt: 0, messages: [] },
        },
      ]),
    );
    await rig.start(rig.phone);
    const receipt = await rig.send(rig.laptop, rig.phone, 'no room yet');
    await rig.pass(MINUTE);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['published']);
    expect(rig.phone.incidents).toContainEqual({ what: 'inbox-full', device: rig.laptop.id, count: 1 });
    const { inbox } = rig.phone.messenger;
    const moving = inbox.move('reader', { batch: 2, index: 0 });
    await rig.settle();
    await moving;
    await rig.pass(30 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['no room yet']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
  });

  it('lets a new reader begin with what is still being written', async () => {
    const rig = await Rig.make();
    const commits: (() => void)[] = [];
    const clock = new VirtualClock();
    const cycle = createCommitCycle({
      clock,
      keystore: { commit: () => new Promise((resolve) => commits.push(resolve)) },
      prepare: () => undefined,
      fatal: (error) => {
        throw error;
      },
    });
    await rig.laptop.withStore(async (keystore) => {
      const inbox = createInbox({ cycle, keystore, clock, runningTime: () => 0, tell: () => undefined });
      const written = async (): Promise<void> => {
        await rig.settle();
        commits.shift()?.();
        await rig.settle();
      };
      const id = new Uint8Array(16);
      const labels = { type: 't', thread: null, group: null };
      for (const number of [1, 2]) {
        const content = { kind: 'content' as const, id, sentAt: 0, ...labels, payload: text(`${number}`) };
        inbox.deliver(rig.phone.id, id, [{ number, content }]);
        await rig.settle();
      }
      const begin = inbox.cursor('new');
      await written();
      expect((await inbox.read(begin)).map(({ payload }) => words(payload))).toEqual(['1']);
      expect(inbox.cursor('new')).toEqual(begin);
      await written();
      expect(inbox.stats().batches).toBe(2);
    });
  });
});
