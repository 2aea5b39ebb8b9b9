import type { Command } from 'commander';
import { isObject } from '../../../adapters/rpc/protocol.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { withMesh } from '../session.ts';

export function defineRename(program: Command, run: Run): void {
  const rename = program
    .command('rename')
    .description('give this device another name, everywhere in the mesh')
    .argument('<name>', '1 to 64 characters')
    .action((name: string, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const renamed = await withMesh(invocation, (link) => link.call('rename', { name }));
        if (!isObject(renamed)) throw new Error('rename was answered with something else');
        await invocation.out.say(
          { event: 'renamed', ...renamed },
          `this device is called "${renamed.name}" now`,
        );
        return undefined;
      }),
    );
  withExamples(rename, 'mesh rename "the old laptop"');
}
