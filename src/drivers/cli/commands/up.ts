import type { Command } from 'commander';
import { type ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import type { Invocation } from '../invocation.ts';

interface UpOptions {
  readonly embeddedBroker?: string | true;
}

const DEFAULT_BROKER = '127.0.0.1:1883';

export function defineUp(program: Command, run: Run): void {
  program
    .command('up')
    .description('run the daemon, in the foreground')
    .option('--embedded-broker [host:port]', `run a broker too, at ${DEFAULT_BROKER} unless said otherwise`)
    .action((options: UpOptions, command: Command) => run(command, (invocation) => up(invocation, options)));
}

async function up(invocation: Invocation, { embeddedBroker }: UpOptions): Promise<ExitStatus> {
  const address =
    embeddedBroker === undefined
      ? undefined
      : brokerAddress(embeddedBroker === true ? DEFAULT_BROKER : embeddedBroker);
  const { findUnlockSecret } = await import('../unlocking.ts');
  const unlock = await findUnlockSecret(invocation);
  const { createLog } = await import('../../daemon/log.ts');
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { patiently } = await import('../session.ts');
  const { out, home, options } = invocation;
  const level = options.quiet === true ? 'error' : options.verbose === true ? 'debug' : 'info';
  const { stderr } = process;
  return runDaemon({
    home,
    unlock,
    embeddedBroker: address,
    log: createLog(level, {
      isTerminal: stderr.isTTY === true,
      write: (line) => void stderr.write(line),
    }),
    tell(event) {
      const { deviceId, broker, members } = event;
      const text =
        event.event === 'ready'
          ? `device ${deviceId} is up, ${members} in the mesh, broker ${broker ?? 'not set'}`
          : undefined;
      // Nobody may be reading: the daemon goes on all the same.
      out.say(event, text).catch(() => undefined);
    },
    obtain: (open) =>
      patiently(home, async () => {
        await askForStore(home);
        return open();
      }),
  });
}

/** Throws `daemon-running` where another daemon has it; a one-shot command gives it up. */
async function askForStore(home: string): Promise<void> {
  const { connectSocket } = await import('../../node/local-socket.ts');
  const { createRpcClient } = await import('../../../adapters/rpc/client.ts');
  const channel = await connectSocket(home);
  if (channel === undefined) return;
  const client = createRpcClient(channel);
  try {
    await client.call('handover');
  } catch (error) {
    if (error instanceof MeshError && error.code === 'daemon-running') throw error;
  } finally {
    client.close();
  }
}

function brokerAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw new MeshError('usage', { detail: `"${text}" is not HOST:PORT` });
  }
  return { host, port };
}
