import { Argument, type Command } from 'commander';
import type { Json } from '../../../adapters/rpc/protocol.ts';
import { MeshError } from '../../../entities/errors.ts';
import { EVERYBODY } from '../../../entities/roster/circle.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { type Invocation, write } from '../invocation.ts';
import { asObjects } from './outbox.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A person who pressed the tabulator key waits. */
const PATIENCE = 500;

interface CompletionOptions {
  readonly devices?: true;
  readonly groups?: true;
}

export function defineCompletion(program: Command, run: Run): void {
  const completion = program
    .command('completion')
    .description('print what makes a shell complete the words of this program')
    .addArgument(new Argument('[shell]', 'for which shell').choices(SHELLS))
    .option('--devices', 'only the names of the devices, where a daemon is there to say them')
    .option('--groups', 'the same for groups')
    .action(
      (
        shell: (typeof SHELLS)[number] | undefined,
        { devices, groups }: CompletionOptions,
        command: Command,
      ) =>
        run(command, async (invocation) => {
          if (devices === true) await print(invocation, 'devices', devicesIn);
          if (groups === true) await print(invocation, 'group.list', groupsIn);
          if (devices === true || groups === true) return undefined;
          if (shell === undefined)
            throw new MeshError('usage', { detail: 'name a shell: bash, zsh or fish' });
          await write(await script(shell));
          return undefined;
        }),
    );
  withExamples(
    completion,
    'source <(mesh completion bash)',
    'mesh completion zsh > ~/.zfunc/_mesh',
    'mesh completion fish > ~/.config/fish/completions/mesh.fish',
  );
}

async function script(shell: (typeof SHELLS)[number]): Promise<string> {
  const { wholeTree } = await import('../program.ts');
  const { places } = await import('../completion/tree.ts');
  const all = places(await wholeTree());
  switch (shell) {
    case 'bash':
      return (await import('../completion/bash.ts')).bashCompletion(all);
    case 'zsh':
      return (await import('../completion/zsh.ts')).zshCompletion(all);
    case 'fish':
      return (await import('../completion/fish.ts')).fishCompletion(all);
  }
}

/** A line for each member, by name and by id. */
function devicesIn(answer: Json): readonly unknown[] {
  return asObjects(answer)
    .filter((device) => device.status === 'member' && device.self !== true)
    .flatMap(({ name, deviceId }) => (name === deviceId ? [name] : [name, deviceId]));
}

/** A line for each by name. */
function groupsIn(answer: Json): readonly unknown[] {
  return asObjects(answer)
    .filter(({ groupId }) => groupId !== EVERYBODY)
    .map(({ group }) => group);
}

/**
 * Never opens the store: that would take its time, might ask for a passphrase in the middle of a line, and would
 * get in the way of whoever has it.
 */
async function print(
  { home }: Invocation,
  method: string,
  wordsIn: (answer: Json) => readonly unknown[],
): Promise<void> {
  const { connectSocket } = await import('../../node/local-socket.ts');
  const { createRpcClient } = await import('../../../adapters/rpc/client.ts');
  const channel = await connectSocket(home).catch(() => undefined);
  if (channel === undefined) return;
  const client = createRpcClient(channel);
  const late = setTimeout(() => channel.destroy(), PATIENCE);
  try {
    for (const word of wordsIn(await client.call(method))) await write(`${String(word)}\n`);
  } catch {
    // Nobody who answers in time: there is nothing to offer.
  } finally {
    clearTimeout(late);
    client.close();
  }
}
