import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/adapters/memory/virtual-clock.ts';
import { type CommitCycle, createCommitCycle } from '../../src/usecases/commit-cycle.ts';
import type { Change } from '../../src/usecases/ports/keystore.ts';

/** A keystore whose commits end when the test says so. */
function bench(prepare: (cycle: CommitCycle) => void = () => undefined) {
  const commits: { readonly changes: readonly Change[]; readonly end: (error?: Error) => void }[] = [];
  const trace: string[] = [];
  const clock = new VirtualClock();
  const fatal: unknown[] = [];
  const cycle: CommitCycle = createCommitCycle({
    keystore: {
      commit: (changes) =>
        new Promise((resolve, reject) => {
          trace.push(`commit ${changes.map(({ key }) => key).join(' ')}`);
          commits.push({ changes, end: (error) => (error === undefined ? resolve() : reject(error)) });
        }),
    },
    clock,
    prepare: () => prepare(cycle),
    fatal: (error) => fatal.push(error),
  });
  const set = (key: string, value = key): void => cycle.change('setting', key, () => value);
  const show = (what: string): void => cycle.afterwards(() => trace.push(what));
  const end = async (error?: Error): Promise<void> => {
    commits.at(-1)?.end(error);
    await turn();
  };
  return { cycle, clock, commits, trace, fatal, set, show, end };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the commit cycle', () => {
  it('writes all that changed in one turn with one commit', async () => {
    const { set, commits } = bench();
    set('a');
    set('b');
    set('c');
    await turn();
    expect(commits).toHaveLength(1);
    expect(commits[0]?.changes.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
  });

  it('shows nothing before the commit that holds it, and then in the order of asking', async () => {
    const { set, show, trace, end } = bench();
    set('a');
    show('a is shown');
    show('a is shown again');
    await turn();
    expect(trace).toEqual(['commit a']);
    await end();
    expect(trace).toEqual(['commit a', 'a is shown', 'a is shown again']);
  });

  it('gathers what changes while a commit is being written into the next one, effects included', async () => {
    const { set, show, trace, end } = bench();
    set('a');
    await turn();
    set('b');
    show('b is shown');
    set('c');
    await turn();
    expect(trace).toEqual(['commit a']);
    await end();
    expect(trace).toEqual(['commit a', 'commit b c']);
    await end();
    expect(trace).toEqual(['commit a', 'commit b c', 'b is shown']);
  });

  it('writes a record once however often it changed, as it is when the commit begins', async () => {
    const { cycle, commits } = bench();
    let value = 'one';
    cycle.change('setting', 'a', () => value);
    cycle.change('setting', 'a', () => value);
    value = 'two';
    await turn();
    expect(commits[0]?.changes).toEqual([{ kind: 'setting', key: 'a', put: 'two' }]);
  });

  it('removes a record that has no value any more', async () => {
    const { cycle, commits } = bench();
    cycle.change('setting', 'a', () => undefined);
    await turn();
    expect(commits[0]?.changes).toEqual([{ kind: 'setting', key: 'a', remove: true }]);
  });

  it('keeps records of two kinds apart that have the same key', async () => {
    const { cycle, commits } = bench();
    cycle.change('setting', 'self', () => 'a');
    cycle.change('running', 'self', () => 1);
    await turn();
    expect(commits[0]?.changes).toHaveLength(2);
  });

  it('lets what may be lost wait for the next commit', async () => {
    const { cycle, set, commits } = bench();
    cycle.later('setting', 'a', () => 'a');
    await turn();
    expect(commits).toHaveLength(0);
    set('b');
    await turn();
    expect(commits[0]?.changes.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('prepares what is due into the commit that is about to begin', async () => {
    let asked = 0;
    const { set, trace, commits } = bench((cycle) => {
      asked++;
      if (asked === 1) cycle.change('setting', 'prepared', () => 'x');
    });
    set('a');
    await turn();
    expect(trace).toEqual(['commit a prepared']);
    expect(commits).toHaveLength(1);
  });

  it('runs effects without a commit where nothing changed', async () => {
    const { show, trace } = bench();
    show('shown');
    await turn();
    expect(trace).toEqual(['shown']);
  });

  it('lets a step wait a moment that can, and writes it then by itself', async () => {
    const { cycle, clock, set, show, trace, end } = bench();
    cycle.unhurried(() => {
      set('a');
      show('a is shown');
      return 'can-wait';
    });
    await turn();
    expect(clock.untilNext()).toBe(2);
    expect(trace).toEqual([]);
    clock.step();
    await turn();
    await end();
    expect(trace).toEqual(['commit a', 'a is shown']);
  });

  it('takes it along with whatever is more urgent, and does not come back for it', async () => {
    const { cycle, clock, set, show, trace, end } = bench();
    cycle.unhurried(() => {
      set('a');
      show('a is shown');
      return 'can-wait';
    });
    set('b');
    await turn();
    await end();
    expect(trace).toEqual(['commit a b', 'a is shown']);
    expect(clock.untilNext()).toBeUndefined();
  });

  it('takes along what a step noted while a commit was being written, with the next one or after a moment', async () => {
    for (const more of [true, false]) {
      const { cycle, clock, set, trace, end } = bench();
      set('a');
      await turn();
      cycle.unhurried(() => {
        set('b');
        return 'can-wait';
      });
      if (more) set('c');
      await end();
      expect(trace).toEqual(more ? ['commit a', 'commit b c'] : ['commit a']);
      expect(clock.step()).toBe(!more);
      await turn();
      expect(trace).toEqual(['commit a', more ? 'commit b c' : 'commit b']);
    }
  });

  it('is at once again after a step that cannot wait, or fails', async () => {
    const { cycle, set, trace, end } = bench();
    cycle.unhurried(() => {
      set('a');
      return 'at-once';
    });
    await turn();
    await end();
    expect(() =>
      cycle.unhurried(() => {
        set('b');
        throw new Error('a bug');
      }),
    ).toThrow('a bug');
    await turn();
    expect(trace).toEqual(['commit a', 'commit b']);
  });

  it('is settled only when what could wait is written too', async () => {
    const { cycle, show, trace } = bench();
    cycle.unhurried(() => {
      show('shown');
      return 'can-wait';
    });
    await cycle.settled();
    expect(trace).toEqual(['shown']);
  });

  it('is settled only when what could wait is prepared, though nothing was noted yet', async () => {
    const { cycle, set, trace, end } = bench(() => {
      if (trace.length === 0) set('prepared');
    });
    cycle.unhurried(() => {
      cycle.wake();
      return 'can-wait';
    });
    const waiting = cycle.settled();
    await turn();
    await end();
    await waiting;
    expect(trace).toEqual(['commit prepared']);
  });

  it('leaves what could wait unwritten when it is stopped', async () => {
    const { cycle, clock, set, trace } = bench();
    cycle.unhurried(() => {
      set('a');
      return 'can-wait';
    });
    cycle.stop();
    expect(clock.step()).toBe(false);
    await turn();
    expect(trace).toEqual([]);
  });

  it('ends with the commit that fails, shows nothing of it, and writes nothing after it', async () => {
    const { cycle, set, show, trace, fatal, end } = bench();
    set('a');
    show('a is shown');
    await turn();
    set('b');
    const broken = new Error('the disk is gone');
    await end(broken);
    expect(fatal).toEqual([broken]);
    set('c');
    show('c is shown');
    await turn();
    await cycle.settled();
    expect(trace).toEqual(['commit a']);
  });

  it('ends where preparing fails, before anything of the step is written', async () => {
    const broken = new Error('a bug');
    const { set, trace, fatal } = bench(() => {
      throw broken;
    });
    set('a');
    await turn();
    expect(trace).toEqual([]);
    expect(fatal).toEqual([broken]);
  });

  it('is settled once all is written and shown, what waited for its sake included', async () => {
    const { cycle, set, show, trace, end } = bench();
    await cycle.settled();
    cycle.later('setting', 'late', () => 'x');
    set('a');
    show('a is shown');
    let settled = false;
    const waiting = cycle.settled().then(() => {
      settled = true;
    });
    await turn();
    expect(settled).toBe(false);
    await end();
    await waiting;
    expect(trace).toEqual(['commit late a', 'a is shown']);
  });

  it('keeps nobody waiting once it is stopped, and shows nothing of what was being written', async () => {
    const { cycle, set, show, trace, end } = bench();
    set('a');
    show('a is shown');
    await turn();
    const waiting = cycle.settled();
    cycle.stop();
    await waiting;
    await end();
    expect(trace).toEqual(['commit a']);
  });
});
