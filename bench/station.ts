/**
 * A daemon that is told what to do: all that `mesh up` runs, with messages that enter in process. Whoever embeds the
 * mesh sends like this; what the socket of the daemon adds is measured from outside.
 */
import { type Host, openHost } from '../src/drivers/daemon/host.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { readKeyFile } from '../src/drivers/node/unlock.ts';
import type { DeviceId } from '../src/entities/device-id.ts';
import type { Circle } from '../src/entities/roster/circle.ts';
import type { InboxMessage } from '../src/usecases/messaging/inbox.ts';
import type { Messenger } from '../src/usecases/messaging/messenger.ts';
import type { CursorRecord } from '../src/usecases/ports/records.ts';
import type { MeshDevice } from '../test/process/make-mesh.ts';
import { writtenBytes } from './process-cost.ts';

/** How often it is looked whether all has been acknowledged. */
const LOOK = 4;
const LIMIT = 120_000;

export interface Spent {
  readonly milliseconds: number;
  /** Of all threads of this process, on a processor. */
  readonly cpuMilliseconds: number;
}

let host: Host | undefined;
/** The number of the batch that arrived last. */
let last = 0;
let echoing: (() => void) | undefined;

function messenger(): Messenger {
  if (host === undefined) throw new Error('it was not opened');
  return host.device.messenger;
}

export const station = {
  async open({ home, keyFile }: MeshDevice): Promise<void> {
    const fail = (error: unknown): void => {
      console.error(error);
      process.exit(1);
    };
    const unlock = await readKeyFile(keyFile);
    host = await openHost({ home, unlock, host: 'daemon', fatal: fail, bug: fail });
    host.device.messenger.listen((news) => {
      if (news.kind === 'received') last = news.batch;
    });
    host.device.goOnline();
  },

  /** Hands all of them over at once, and waits until every recipient has acknowledged every one. */
  async burst(to: readonly DeviceId[] | Circle, bytes: number, count: number): Promise<Spent> {
    const payload = nodeRandomness(bytes);
    const cpu = process.cpuUsage();
    const began = performance.now();
    const sending = Array.from({ length: count }, () => messenger().send({ to, payload }));
    const sent = await Promise.all(sending);
    for (const one of sent) if ('refused' in one) throw new Error(one.refused);
    await delivered();
    return spentSince(began, cpu);
  },

  /** One after the other: milliseconds from `send` until the answer stands in the inbox. */
  async pingPong(to: DeviceId, bytes: number, count: number): Promise<readonly number[]> {
    const { send, inbox, listen } = messenger();
    const payload = nodeRandomness(bytes);
    const took: number[] = [];
    let at = behindAll();
    let arrived: () => void = () => undefined;
    const stop = listen((news) => {
      if (news.kind === 'received') arrived();
    });
    for (let i = 0; i < count; i++) {
      const began = performance.now();
      const answer = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      await Promise.all([send({ to: [to], payload }), answer]);
      const messages = await inbox.read(at);
      at = messages.at(-1)?.after ?? at;
      took.push(performance.now() - began);
    }
    stop();
    await delivered();
    return took;
  },

  /** Sends back what arrives from now on, until `still`. */
  async echo(): Promise<void> {
    const { send, inbox, listen } = messenger();
    let at = behindAll();
    let reading = Promise.resolve();
    const answer = async (): Promise<void> => {
      const messages: readonly InboxMessage[] = await inbox.read(at);
      at = messages.at(-1)?.after ?? at;
      await Promise.all(messages.map(({ from, payload }) => send({ to: [from], payload })));
    };
    echoing = listen((news) => {
      if (news.kind === 'received') reading = reading.then(answer);
    });
  },

  async still(): Promise<void> {
    echoing?.();
    await delivered();
  },

  /** As a reader that has had everything; what nobody reads would fill the inbox in the end. */
  async read(): Promise<void> {
    await messenger().inbox.move('bench', behindAll());
  },

  async use(): Promise<{ readonly cpuMilliseconds: number; readonly writtenBytes: number }> {
    const { user, system } = process.cpuUsage();
    return { cpuMilliseconds: (user + system) / 1000, writtenBytes: await writtenBytes('self') };
  },

  async close(): Promise<void> {
    await host?.release(0);
    host = undefined;
  },
};

/** Looked at when something has happened, and not again for a moment: looking is not what is measured. */
function delivered(): Promise<void> {
  const { listen, status } = messenger();
  return new Promise((resolve, reject) => {
    let looking: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(impatient);
      clearTimeout(looking);
      stop();
    };
    const look = (): void => {
      looking = undefined;
      if (status().outbox.messages > 0) return;
      end();
      resolve();
    };
    const stop = listen(({ kind }) => {
      if (kind === 'delivery') looking ??= setTimeout(look, LOOK);
    });
    const impatient = setTimeout(() => {
      end();
      reject(new Error('not everything was acknowledged'));
    }, LIMIT);
    look();
  });
}

function behindAll(): CursorRecord {
  return { batch: last + 1, index: 0 };
}

function spentSince(began: number, cpu: NodeJS.CpuUsage): Spent {
  const { user, system } = process.cpuUsage(cpu);
  return { milliseconds: performance.now() - began, cpuMilliseconds: (user + system) / 1000 };
}
