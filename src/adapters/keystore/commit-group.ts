/** Commits that share one write: their changes, the latest of each record, and one outcome for all. */
import type { MeshError } from '../../entities/errors.ts';
import type { StagedChange } from './commit-writer.ts';

export class CommitGroup {
  readonly #changes = new Map<string, StagedChange>();
  readonly done: Promise<void>;
  #settle: ((failure?: MeshError) => void) | undefined;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#settle = (failure) => (failure === undefined ? resolve() : reject(failure));
    });
    // Everybody who waits sees a failure; that nobody waits any more is not another one.
    this.done.catch(() => undefined);
  }

  add(changes: readonly StagedChange[]): void {
    for (const change of changes) this.#changes.set(recordId(change.kind, change.key), change);
  }

  find(kind: string, key: string): StagedChange | undefined {
    return this.#changes.get(recordId(kind, key));
  }

  changes(): readonly StagedChange[] {
    return [...this.#changes.values()];
  }

  settle(failure?: MeshError): void {
    this.#settle?.(failure);
  }
}

/** A kind is a name in the source code and has no NUL in it. */
const recordId = (kind: string, key: string): string => `${kind}\0${key}`;
