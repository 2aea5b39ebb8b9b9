import type { Command } from 'commander';
import { isObject } from '../../../adapters/rpc/protocol.ts';
import type { ExitStatus } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { DEFAULT_ADDRESS, describeEmbedded, embeddedAddress } from '../embedded-address.ts';
import { withExamples } from '../examples.ts';
import type { Invocation } from '../invocation.ts';

interface UpOptions {
  readonly embeddedBroker?: string | true;
}

export function defineUp(program: Command, run: Run): void {
  const command = program
    .command('up')
    .description('run the daemon, in the foreground')
    .option(
      '--embedded-broker [host:port]',
      `run a broker too, at ${DEFAULT_ADDRESS} unless said otherwise; "0.0.0.0" opens it to the network, with TLS`,
    )
    .action((options: UpOptions, command: Command) => run(command, (invocation) => up(invocation, options)));
  withExamples(command, 'mesh up', 'mesh up --embedded-broker', 'mesh up --embedded-broker 0.0.0.0:8883');
}

async function up(invocation: Invocation, { embeddedBroker }: UpOptions): Promise<ExitStatus> {
  const address =
    embeddedBroker === undefined
      ? undefined
      : embeddedAddress(embeddedBroker === true ? DEFAULT_ADDRESS : embeddedBroker);
  const { findUnlockSecret } = await import('../unlocking.ts');
  const unlock = await findUnlockSecret(invocation);
  const { createLog } = await import('../../daemon/log.ts');
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { takeStore } = await import('../take-store.ts');
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
      const { deviceId, broker, members, embeddedBroker: embedded } = event;
      const lines = [`device ${deviceId} is up, ${members} in the mesh, broker ${broker ?? 'not set'}`];
      if (isObject(embedded)) lines.push(describeEmbedded(embedded));
      // Nobody may be reading: the daemon goes on all the same.
      out.say(event, event.event === 'ready' ? lines.join('\n') : undefined).catch(() => undefined);
    },
    obtain: (open) => takeStore(home, open),
  });
}
