/**
 * One step, one commit, and many steps to a commit.
 *
 * Steps change the state in memory at once and note what they changed. While one commit is being written the
 * next one gathers; when it begins, everything that is waiting to go out is prepared into it, so that encryption
 * is paid once for what gathered. Whatever the world may see of a step (a packet, an answer to a caller, a
 * message to a reader) is an effect, and effects run only after the commit that holds their step.
 *
 * A commit that fails ends the cycle: the state in memory is then ahead of the store for good, so the process
 * has to end, and has shown nothing to anybody that the store does not hold.
 */
import type { Cancel, Clock } from './ports/clock.ts';
import type { Change, Keystore, RecordKind } from './ports/keystore.ts';
import type { Records } from './ports/records.ts';

export interface CommitCycle {
  /**
   * Notes that a record changed. `value` is asked for when the commit begins, so a record that changes often
   * is written once; `undefined` removes it.
   */
  change<Kind extends RecordKind>(kind: Kind, key: string, value: () => Records[Kind] | undefined): void;
  /** The same, for what may be lost: it waits for the next commit instead of asking for one. */
  later<Kind extends RecordKind>(kind: Kind, key: string, value: () => Records[Kind] | undefined): void;
  /** Runs after the commit that holds everything changed so far; at once in order, never during this call. */
  afterwards(effect: () => void): void;
  /** Says that `prepare` has something to do. */
  wake(): void;
  /**
   * Runs `step`, which says whether what it noted can wait a moment for something more urgent to share a commit with.
   * An acknowledgement can: a commit for it alone would stand in the way of the answer that comes right behind it.
   */
  unhurried(step: () => 'at-once' | 'can-wait'): void;
  /** Resolves when everything is written and every effect has run, or when the cycle was stopped. */
  settled(): Promise<void>;
  /** Ends without writing what is waiting. */
  stop(): void;
}

export interface CommitCycleParts {
  readonly keystore: Pick<Keystore, 'commit'>;
  readonly clock: Pick<Clock, 'after'>;
  /** Turns what is due into changes and effects. Called when a commit is about to begin. */
  readonly prepare: () => void;
  /** The state in memory is lost: the keystore failed, or a step did. */
  readonly fatal: (error: unknown) => void;
}

/** Milliseconds. */
const MOMENT = 2;

export function createCommitCycle({ keystore, clock, prepare, fatal }: CommitCycleParts): CommitCycle {
  let changes = new Map<string, () => Change>();
  let effects: (() => void)[] = [];
  let running = false;
  let woken = false;
  let stopped = false;
  let waiting: (() => void)[] = [];
  /** Set while a step runs that may turn out to be able to wait: whether it asked for a commit. */
  let asked: boolean | undefined;
  let moment: Cancel | undefined;

  function start(): void {
    if (asked !== undefined) {
      asked = true;
      return;
    }
    moment?.();
    moment = undefined;
    woken = true;
    if (running || stopped) return;
    running = true;
    // A microtask later, so that callers in the same turn of the event loop share the commit.
    Promise.resolve()
      .then(run)
      .catch((error: unknown) => {
        stop();
        fatal(error);
      });
  }

  async function run(): Promise<void> {
    while (woken && !stopped) {
      woken = false;
      prepare();
      const written = [...changes.values()].map((change) => change());
      const released = effects;
      changes = new Map();
      effects = [];
      if (written.length > 0) await keystore.commit(written);
      if (stopped) return;
      for (const effect of released) effect();
    }
    running = false;
    release();
  }

  function release(): void {
    const done = waiting;
    waiting = [];
    for (const resolve of done) resolve();
  }

  function stop(): void {
    stopped = true;
    moment?.();
    release();
  }

  function note<Kind extends RecordKind>(
    kind: Kind,
    key: string,
    value: () => Records[Kind] | undefined,
  ): void {
    changes.set(`${kind}\0${key}`, () => {
      const put = value();
      // The compiler cannot see that kind and value belong together once they are in a map.
      return (put === undefined ? { kind, key, remove: true } : { kind, key, put }) as Change;
    });
  }

  return {
    change(kind, key, value) {
      note(kind, key, value);
      start();
    },
    later: note,
    afterwards(effect) {
      effects.push(effect);
      start();
    },
    wake: start,
    unhurried(step) {
      asked = false;
      let urgency: ReturnType<typeof step> = 'at-once';
      try {
        urgency = step();
      } finally {
        const wanted = asked;
        asked = undefined;
        if (wanted && urgency === 'at-once') start();
        else if (wanted && !woken && !stopped) moment ??= clock.after(MOMENT, start);
      }
    },
    settled() {
      const idle = !running && moment === undefined && changes.size === 0 && effects.length === 0;
      if (stopped || idle) return Promise.resolve();
      start();
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    },
    stop,
  };
}
