#!/usr/bin/env node
/** The program. Commands load what they need when they run: one that finds a daemon needs next to nothing. */
import { CommanderError } from 'commander';
import { ExitStatus, MeshError } from '../../entities/errors.ts';
import { errorCode } from '../node/durable-file.ts';
import { type GlobalOptions, invocation, output } from './invocation.ts';
import { createProgram } from './program.ts';

async function main(argv: readonly string[]): Promise<ExitStatus> {
  let status: ExitStatus = ExitStatus.done;
  // Before the options are understood; a wrong option has to be told of in the right form too.
  const words = argv.slice(2);
  const out = output(words.includes('--json'), words.includes('--quiet'));
  const program = await createProgram(words, async (command, work) => {
    status = (await work(invocation(command.optsWithGlobals<GlobalOptions>()))) ?? ExitStatus.done;
  });
  if (words.length === 0) {
    process.stderr.write(program.helpInformation());
    return ExitStatus.usage;
  }
  try {
    await program.parseAsync([...argv]);
    return status;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return ExitStatus.done;
    const known = explain(error);
    await out.fail(known);
    if (known.code === 'bug' && words.includes('-v') && error instanceof Error) {
      process.stderr.write(`${error.stack}\n`);
    }
    return known.exit;
  }
}

function explain(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  if (error instanceof CommanderError) {
    return new MeshError('usage', { detail: error.message.replace(/^error: /, '') }, error);
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new MeshError('bug', { detail }, error);
}

process.stdout.on('error', (error) => {
  // A reader that went away is told of where something is written.
  if (errorCode(error) !== 'EPIPE') throw error;
});
// Where nobody reads the log, writing of it in the log would never end.
process.stderr.on('error', () => undefined);
process.exit(await main(process.argv));
