/** A figure of the table, and how figures are taken. */
export interface Row {
  readonly name: string;
  readonly unit: 'µs' | 'ms' | '/s' | 'MB' | '%' | 'B' | '×';
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** What the figure is held against, measured in the same run. */
  readonly against?: readonly Against[];
  /** What is aimed at, where it is the figure itself. */
  readonly most?: number;
}

export interface Against extends Aim {
  readonly name: string;
  readonly ratio: number;
}

/** What the ratio is to be. */
export interface Aim {
  readonly most?: number;
  readonly least?: number;
}

export interface Measured {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function against(name: string, figure: Measured, reference: Measured, aim: Aim = {}): Against {
  return { name, ratio: figure.median / reference.median, ...aim };
}

/** Microseconds that `work` takes for each of its `repeats`. */
export async function time(repeats: number, work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) await work();
  return Number(process.hrtime.bigint() - start) / 1000 / repeats;
}

/** The same for work that answers at once, without the price of waiting for it. */
export function timeSync(repeats: number, work: () => unknown): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) work();
  return Number(process.hrtime.bigint() - start) / 1000 / repeats;
}

/** Takes rounds of all in turn: a b c a b c … */
export async function inTurn<Name extends string>(
  rounds: number,
  measures: Readonly<Record<Name, () => number | Promise<number>>>,
): Promise<Record<Name, Measured>> {
  const names = Object.keys(measures) as Name[];
  const taken = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const figure = await measures[name]();
      // The first round warms up.
      if (round >= 0) taken.get(name)?.push(figure);
    }
  }
  const entries = names.map((name) => [name, spread(taken.get(name) ?? [])] as const);
  return Object.fromEntries(entries) as Record<Name, Measured>;
}

export function spread(figures: readonly number[]): Measured {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  return { median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1) };
}

export function print(rows: readonly Row[], json: boolean): void {
  if (json) {
    for (const row of rows) console.log(JSON.stringify(row));
    return;
  }
  const width = Math.max(...rows.map((row) => row.name.length));
  const figure = (value: number): string => value.toFixed(value < 100 ? 2 : 0).padStart(10);
  console.log(
    `${'figure'.padEnd(width)} ${'median'.padStart(10)} ${'min'.padStart(10)} ${'max'.padStart(10)}`,
  );
  for (const { name, unit, median, min, max, against: beside = [], most } of rows) {
    const notes = beside.map(
      ({ name: of, ratio, ...aim }) => `${ratio.toFixed(2)} × ${of}${aimed(ratio, aim)}`,
    );
    if (most !== undefined) notes.push(aimed(median, { most }, ` ${unit}`).trim());
    const figures = `${figure(median)} ${figure(min)} ${figure(max)} ${unit.padEnd(3)}`;
    console.log(`${name.padEnd(width)} ${figures} ${notes.join('; ')}`.trimEnd());
  }
}

function aimed(value: number, { most, least }: Aim, unit = ' ×'): string {
  const met = value <= (most ?? Number.POSITIVE_INFINITY) && value >= (least ?? 0);
  const bound = most === undefined ? `at least ${least}` : `at most ${most}`;
  if (most === undefined && least === undefined) return '';
  return ` (aim: ${bound}${unit}${met ? '' : ', missed'})`;
}
