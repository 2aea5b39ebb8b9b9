/**
 * Whoever has the store open serves its socket: a daemon for as long as it runs, a one-shot command for as long
 * as it works. Everything that happens to the store goes through that one process.
 */
import { createRpcServer } from '../../adapters/rpc/server.ts';
import { nodeClock } from '../node/clock.ts';
import { homeAt, wipeHome } from '../node/home.ts';
import { serveSocket } from '../node/local-socket.ts';
import { keepHeapSmall } from '../node/small-heap.ts';
import { type ComposeOptions, composeDevice, type RunningDevice } from './compose.ts';

export interface Host {
  readonly device: RunningDevice;
  /**
   * Lets what others have asked for come to its end, but no longer than `patience`, and gives the store back.
   * A second call joins the first.
   */
  release(patience: number): Promise<void>;
  /** A daemon asked for the store, and `release` has been begun. */
  readonly handedOver: Promise<void>;
  /** The device has left: `release` deletes its store. */
  readonly retirement: Promise<void>;
}

export interface HostOptions extends Omit<ComposeOptions, 'handOver' | 'retire'> {
  /** A request found the program wrong. */
  readonly bug: (error: unknown) => void;
}

export async function openHost(options: HostOptions): Promise<Host> {
  let give: () => void = () => undefined;
  let retired: () => void = () => undefined;
  const retirement = new Promise<void>((resolve) => {
    retired = resolve;
  });
  const handedOver = new Promise<void>((resolve) => {
    give = resolve;
  });
  if (options.host === 'daemon') keepHeapSmall();
  let unwanted = false;
  const device = await composeDevice({
    ...options,
    handOver: () => give(),
    retire: () => {
      unwanted = true;
      retired();
    },
  });
  const rpc = createRpcServer({ methods: device.methods, clock: nodeClock, bug: options.bug });
  const socket = await serveSocket(options.home, (channel) => rpc.accept(channel)).catch(
    async (error: unknown) => {
      await device.stop();
      throw error;
    },
  );

  let releasing: Promise<void> | undefined;
  async function end(patience: number): Promise<void> {
    await socket.close();
    await Promise.race([rpc.drain(), after(patience)]);
    rpc.stop();
    await device.stop();
    if (unwanted) await wipeHome(homeAt(options.home));
  }
  const release = (patience: number): Promise<void> => {
    releasing ??= end(patience);
    return releasing;
  };
  // In the next turn, so that the daemon gets its answer before the connection ends.
  void handedOver.then(() => setImmediate(() => void release(0).catch(options.fatal)));
  return { device, release, handedOver, retirement };
}

const after = (delay: number): Promise<void> =>
  new Promise((resolve) => {
    nodeClock.after(delay, resolve);
  });
