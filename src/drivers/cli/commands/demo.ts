import type { Command } from 'commander';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';

export function defineDemo(program: Command, run: Run): void {
  const command = program
    .command('demo')
    .description('two devices and a broker on this machine: pairs them, sends both ways, removes one')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const { runDemo } = await import('../demo.ts');
        await runDemo(invocation);
        return undefined;
      }),
    );
  withExamples(command, 'mesh demo', 'mesh demo --json');
}
