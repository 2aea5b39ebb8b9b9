/** Examples belong to a command: its help ends with them, and the manual page shows them. */
import type { Command } from 'commander';

const kept = new WeakMap<Command, readonly string[]>();

/** Each a line that could be typed as it is. Only the last command in them may be somebody else's. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  kept.set(command, examples);
  const title = examples.length === 1 ? 'Example' : 'Examples';
  return command.addHelpText('after', `\n${title}:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

export const examplesOf = (command: Command): readonly string[] => kept.get(command) ?? [];
