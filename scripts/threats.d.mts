export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

export interface Attack {
  readonly attack: string;
  readonly behaviour: string;
  readonly tests: readonly NamedTest[];
}

/** By title, then by file: how the test ended in each report. */
export type Outcomes = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

export function attacksIn(markdown: string): readonly Attack[];
export function outcomesOf(reports: readonly object[], root: string): Outcomes;
export function faultsOf(attacks: readonly Attack[], outcomes: Outcomes): readonly string[];
