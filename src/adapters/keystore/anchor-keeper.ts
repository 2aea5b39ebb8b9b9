/** Writes the anchor: within a second of a commit, one at a time, and not while nothing happens. */
import type { Mac } from '../../entities/crypto.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { StorePosition } from '../../usecases/ports/keystore.ts';
import { encodeAnchor } from './anchor.ts';
import type { AnchorFile } from './key-value.ts';
import type { StoreKeys } from './store-keys.ts';

/** Shorter than the promised second by what writing the file may take. */
const INTERVAL = 800;

export interface AnchorParts {
  readonly anchor: AnchorFile;
  readonly keys: StoreKeys;
  readonly primitives: { readonly mac: Mac };
  readonly clock: Clock;
}

export class AnchorKeeper {
  readonly #parts: AnchorParts;
  readonly #position: () => StorePosition;
  readonly #failed: (error: unknown) => void;
  #reached: number;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    parts: AnchorParts,
    reached: number,
    position: () => StorePosition,
    failed: (error: unknown) => void,
  ) {
    this.#parts = parts;
    this.#reached = reached;
    this.#position = position;
    this.#failed = failed;
  }

  /** The commit that the file on disk names. */
  get reached(): number {
    return this.#reached;
  }

  later(): void {
    this.#cancel ??= this.#parts.clock.after(INTERVAL, () => {
      this.#cancel = undefined;
      this.#write().catch(this.#failed);
    });
  }

  /** Writes the last one. */
  async finish(): Promise<void> {
    this.#cancel?.();
    await this.#write();
  }

  /** Writes no more: whoever opens the store next has an anchor of its own. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#writing;
  }

  /** One after the other: two at once would write over each other's file. */
  #write(): Promise<void> {
    const writing = this.#writing.then(async () => {
      const position = this.#position();
      if (position.number === this.#reached) return;
      await this.#parts.anchor.replace(encodeAnchor(this.#parts.primitives.mac, this.#parts.keys, position));
      this.#reached = position.number;
    });
    this.#writing = writing.catch(() => undefined);
    return writing;
  }
}
