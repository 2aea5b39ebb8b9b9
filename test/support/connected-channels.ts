/** A connected pair of channels in memory. Bytes arrive in a later turn, and wait while the far end is paused. */
import type { Channel, ChannelEvents } from '../../src/adapters/rpc/channel.ts';

export interface LooseChannel extends Channel {
  /** The far end does not take anything in any more, as a program that was stopped. */
  freeze(): void;
  readonly isOver: boolean;
}

class End implements LooseChannel {
  far: End | undefined;
  #events: ChannelEvents | undefined;
  #queue: Uint8Array[] = [];
  #paused = false;
  #frozen = false;
  #ending = false;
  isOver = false;

  get unsent(): number {
    return this.far?.waiting ?? 0;
  }

  get waiting(): number {
    return this.#queue.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  attach(events: ChannelEvents): void {
    this.#events = events;
    this.#flow();
  }

  write(bytes: Uint8Array): void {
    if (!this.isOver) this.far?.take(bytes);
  }

  take(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#flow();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  freeze(): void {
    this.#frozen = true;
  }

  end(): void {
    this.far?.finish();
  }

  finish(): void {
    this.#ending = true;
    this.#flow();
  }

  destroy(): void {
    this.over();
    this.far?.over();
  }

  over(): void {
    if (this.isOver) return;
    this.isOver = true;
    queueMicrotask(() => this.#events?.closed());
  }

  #flow(): void {
    queueMicrotask(() => {
      while (!this.#paused && !this.#frozen && !this.isOver && this.#events !== undefined) {
        const chunk = this.#queue.shift();
        if (chunk === undefined) break;
        this.#events.data(chunk);
      }
      if (this.#ending && this.#queue.length === 0 && !this.isOver) this.destroy();
    });
  }
}

export function connectedChannels(): readonly [LooseChannel, LooseChannel] {
  const near = new End();
  const far = new End();
  near.far = far;
  far.far = near;
  return [near, far];
}
