/**
 * The way to the broker as the rest of the program sees it: one transport for a whole life, though the settings
 * behind it may change at any time; and the place to ask how it stands.
 */
import { MeshError } from '../entities/errors.ts';
import type { Clock } from '../usecases/ports/clock.ts';
import type { Transport, TransportEvents } from '../usecases/ports/transport.ts';

export interface LineState {
  /** The broker that we are connected to. */
  readonly broker: string | undefined;
  /** Why we are not, or were not last. */
  readonly error: MeshError | undefined;
  /** Nothing but a change of settings helps. */
  readonly permanent: boolean;
}

export interface BrokerLine extends Transport {
  state(): LineState;
  /** Calls after each change; returns how to stop that. */
  watch(listener: (state: LineState) => void): () => void;
  /**
   * Shows each packet to `take` before anybody else sees it; those that it answers with true are gone. Returns
   * how to stop that.
   */
  probe(take: (bytes: Uint8Array) => boolean): () => void;
  /** Takes the settings as they are now. */
  renew(): Promise<void>;
  /**
   * Resolves when we are connected and nothing has come for `pause` milliseconds; or when connecting failed, or
   * after `limit`.
   */
  quiet(pause: number, limit: number): Promise<void>;
}

export interface BrokerLineParts {
  readonly clock: Pick<Clock, 'after'>;
  /** Throws a `MeshError` where the settings allow no connection at all. */
  readonly connect: () => Promise<Transport>;
}

export function createBrokerLine({ clock, connect }: BrokerLineParts): BrokerLine {
  const watchers = new Set<(state: LineState) => void>();
  let packetWatchers: (() => void)[] = [];
  const probes = new Set<(bytes: Uint8Array) => boolean>();
  let state: LineState = { broker: undefined, error: undefined, permanent: false };
  let events: TransportEvents | undefined;
  let current: Transport | undefined;
  let closed = false;
  let changing: Promise<void> = Promise.resolve();

  const become = (next: LineState): void => {
    state = next;
    for (const watcher of [...watchers]) watcher(state);
  };

  const fail = (error: MeshError, permanent: boolean): void => {
    events?.disconnected({ error, permanent });
    become({ broker: undefined, error, permanent });
  };

  async function start(): Promise<void> {
    let fresh: Transport;
    try {
      fresh = await connect();
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      fail(error, true);
      return;
    }
    if (closed) return fresh.close();
    current = fresh;
    fresh.open({
      packet(bytes) {
        if ([...probes].some((take) => take(bytes))) return;
        for (const call of packetWatchers) call();
        events?.packet(bytes);
      },
      connected(to) {
        events?.connected(to);
        become({ broker: to.broker, error: undefined, permanent: false });
      },
      disconnected({ error, permanent }) {
        fail(error, permanent);
      },
    });
  }

  async function renew(): Promise<void> {
    const old = current;
    current = undefined;
    await old?.close();
    if (closed || events === undefined) return;
    if (state.broker !== undefined) fail(new MeshError('broker-lost', { broker: state.broker }), false);
    await start();
  }

  /** One change after the other. */
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    const turn = changing.then(change);
    changing = turn.catch(() => undefined);
    return turn;
  };

  return {
    open(given) {
      events = given;
      void inTurn(start);
    },
    publish: (to, packet) => current?.publish(to, packet) ?? Promise.resolve('offline'),
    async close() {
      closed = true;
      await changing;
      await current?.close();
    },
    state: () => state,
    watch(listener) {
      watchers.add(listener);
      return () => watchers.delete(listener);
    },
    probe(take) {
      probes.add(take);
      return () => probes.delete(take);
    },
    renew: () => inTurn(renew),
    quiet(pause, limit) {
      return new Promise((resolve) => {
        let cancelPause = (): void => undefined;
        const done = (): void => {
          cancelPause();
          cancelLimit();
          watchers.delete(look);
          packetWatchers = packetWatchers.filter((other) => other !== wait);
          resolve();
        };
        const wait = (): void => {
          cancelPause();
          cancelPause = clock.after(pause, done);
        };
        const look = (now: LineState): void => {
          if (now.broker !== undefined) wait();
          else if (now.error !== undefined) done();
        };
        const cancelLimit = clock.after(limit, done);
        packetWatchers.push(wait);
        watchers.add(look);
        look(state);
      });
    },
  };
}
