/**
 * One run of a target, and what counts against it: anything thrown, too long a time, too much memory. Time and
 * memory are only believed when they come again, because the machine may have been busy with something else;
 * and of the time that passed only what was spent on the input counts then.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Target } from './target.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

export interface Finding {
  readonly kind: 'thrown' | 'slow' | 'memory';
  readonly detail: string;
}

const MILLISECONDS = 200;
/** Inputs up to this size have the time above, twice as large ones twice as much. */
const PER_BYTES = 64 * 1024;
const TIMES = 3;
const MEGABYTE = 2 ** 20;
/** What one input may make the program take while it is being looked at. */
const BYTES_AT_ONCE = 64 * MEGABYTE;
const BYTES_PER_BYTE = 512;

/** The finding, or `undefined` where all is well. */
export async function judge(target: Target, input: Uint8Array): Promise<Finding | undefined> {
  const bound = MILLISECONDS * Math.max(1, Math.ceil(input.length / PER_BYTES));
  let fastest = Number.POSITIVE_INFINITY;
  for (let time = 0; time < TIMES; time++) {
    const began = performance.now();
    const cpu = time === 0 ? undefined : process.cpuUsage();
    try {
      const examined = target.examine(input);
      if (examined !== undefined) await examined;
    } catch (error) {
      return { kind: 'thrown', detail: explain(error) };
    }
    fastest = Math.min(fastest, performance.now() - began);
    if (cpu !== undefined) {
      const { user, system } = process.cpuUsage(cpu);
      fastest = Math.min(fastest, (user + system) / 1000);
    }
    if (fastest <= bound) return undefined;
  }
  return { kind: 'slow', detail: `${Math.round(fastest)} ms for ${input.length} bytes` };
}

/** The same with an eye on memory, which takes a while: for inputs that are new in some way. */
export async function judgeMemory(target: Target, input: Uint8Array): Promise<Finding | undefined> {
  const bound = BYTES_AT_ONCE + input.length * BYTES_PER_BYTE;
  let least = Number.POSITIVE_INFINITY;
  for (let time = 0; time < TIMES && least > bound; time++) {
    // What the time before left behind would be given back during this one, and hide what it takes.
    if (time > 0) collect();
    const before = inUse();
    const finding = await judge(target, input);
    if (finding !== undefined) return finding;
    least = Math.min(least, inUse() - before);
  }
  if (least <= bound) return undefined;
  return { kind: 'memory', detail: `${Math.round(least / MEGABYTE)} MiB for ${input.length} bytes` };
}

const ROUNDS = 3;
const PASSES = 5;
const KEPT_BYTES = 4 * MEGABYTE;

/** True where memory grows every time all of these have been through, and stays. */
export async function judgeRetention(
  target: Target,
  inputs: readonly Uint8Array[],
): Promise<Finding | undefined> {
  const pass = async (): Promise<void> => {
    for (let i = 0; i < PASSES; i++) for (const input of inputs) await judge(target, input);
  };
  await pass();
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && least > KEPT_BYTES; round++) {
    const before = await settledMemory();
    await pass();
    least = Math.min(least, (await settledMemory()) - before);
  }
  if (least <= KEPT_BYTES) return undefined;
  const detail = `${Math.round(least / MEGABYTE)} MiB stay after each ${PASSES * inputs.length} inputs`;
  return { kind: 'memory', detail };
}

function inUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function settledMemory(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  return inUse();
}

const MOST_WORDS = 300;

function explain(error: unknown): string {
  if (!(error instanceof Error)) return `threw what is no error: ${String(error)}`;
  const [, first = ''] = error.stack?.split('\n    at ') ?? [];
  return `${error.name}: ${error.message} (at ${first.trim()})`.slice(0, MOST_WORDS);
}

/** Findings of one sort, so that a cause is told once: the same kind, and the same place or text. */
export function sortOf({ kind, detail }: Finding): string {
  return kind === 'thrown' ? `${kind} ${detail.replaceAll(/\d+/g, 'N')}` : kind;
}
