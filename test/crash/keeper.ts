/** Keeps the daemon of a device up, as systemd would: whatever it ends of, it is started again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Station } from './station.ts';

const PAUSE = 100;

export class Keeper {
  readonly #station: Station;
  #wanted = false;
  #keeping: Promise<void> = Promise.resolve();
  #starts = 0;

  constructor(station: Station) {
    this.#station = station;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** How often a daemon was started. */
  get starts(): number {
    return this.#starts;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#keeping = this.#keeping.then(() => this.#keep());
  }

  /** Kills it, and leaves it so. Returns how many were killed. */
  async rest(): Promise<number> {
    this.#wanted = false;
    const killed = await this.#station.kill('daemon');
    await this.#keeping;
    return killed;
  }

  async #keep(): Promise<void> {
    while (this.#wanted) {
      this.#starts++;
      await this.#station.run('daemon', ['up']);
      if (this.#wanted) await pause(PAUSE);
    }
  }
}
