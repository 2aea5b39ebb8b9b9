import type { Command } from 'commander';
import { ExitStatus } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { DEFAULT_ADDRESS, describeEmbedded, embeddedAddress } from '../embedded-address.ts';
import { withExamples } from '../examples.ts';
import type { Invocation } from '../invocation.ts';

export function defineBroker(program: Command, run: Run): void {
  const command = program
    .command('broker')
    .argument('[host:port]', 'where it listens')
    .description(`run only the embedded broker, at ${DEFAULT_ADDRESS} unless said otherwise`)
    .action((address: string | undefined, _options: unknown, command: Command) =>
      run(command, (invocation) => broker(invocation, address ?? DEFAULT_ADDRESS)),
    );
  withExamples(command, 'mesh broker', 'mesh broker 0.0.0.0:8883');
}

async function broker(invocation: Invocation, text: string): Promise<ExitStatus> {
  const address = embeddedAddress(text);
  const { home, out } = invocation;
  const { findUnlockSecret } = await import('../unlocking.ts');
  const unlock = await findUnlockSecret(invocation);
  const { runBroker } = await import('../../daemon/broker-only.ts');
  const { takeStore } = await import('../take-store.ts');
  await runBroker({
    home,
    unlock,
    address,
    tell(event) {
      // Nobody may be reading: the broker goes on all the same.
      out.say(event, describeEmbedded(event)).catch(() => undefined);
    },
    obtain: (open) => takeStore(home, open),
  });
  return ExitStatus.done;
}
