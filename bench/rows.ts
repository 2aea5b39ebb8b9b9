/** A figure of the table, and how figures are taken. */
export interface Row {
  readonly name: string;
  readonly unit: 'µs' | 'ms' | '/s' | 'MB' | '%';
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** What the figure is held against, measured in the same run, and their ratio. */
  readonly reference?: { readonly name: string; readonly ratio: number };
  /** What is aimed at: the most that the ratio may be, or the median where there is no reference. */
  readonly most?: number;
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

export interface Measured {
  readonly median: number;
  readonly min: number;
  readonly max: number;
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
  const entries = names.map((name) => {
    const sorted = (taken.get(name) ?? []).sort((a, b) => a - b);
    const at = (i: number): number => sorted[i] ?? Number.NaN;
    return [name, { median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1) }] as const;
  });
  return Object.fromEntries(entries) as Record<Name, Measured>;
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
  for (const { name, unit, median, min, max, reference, most } of rows) {
    const beside = reference === undefined ? '' : `   ${reference.ratio.toFixed(2)} × ${reference.name}`;
    const aim =
      most === undefined ? '' : `   (aim: at most ${most}${reference === undefined ? ` ${unit}` : ' ×'})`;
    console.log(
      `${name.padEnd(width)} ${figure(median)} ${figure(min)} ${figure(max)} ${unit.padEnd(3)}${beside}${aim}`,
    );
  }
}
