#!/usr/bin/env node
/** The program. Commands load what they need when they run: one that finds a daemon needs next to nothing. */
import { Command, CommanderError } from 'commander';
import { ExitStatus, MeshError } from '../../entities/errors.ts';
import { errorCode } from '../node/durable-file.ts';
import type { Run } from './command.ts';
import { type GlobalOptions, invocation, output } from './invocation.ts';

type Define = (program: Command, run: Run) => void;

/** Each in a file of its own, which is read when its name is among the words, or when help is wanted. */
const COMMANDS: Readonly<Record<string, () => Promise<Define>>> = {
  init: async () => (await import('./commands/init.ts')).defineInit,
  up: async () => (await import('./commands/up.ts')).defineUp,
  send: async () => (await import('./commands/send.ts')).defineSend,
  listen: async () => (await import('./commands/listen.ts')).defineListen,
  outbox: async () => (await import('./commands/outbox.ts')).defineOutbox,
  cancel: async () => (await import('./commands/outbox.ts')).defineCancel,
  devices: async () => (await import('./commands/status.ts')).defineDevices,
  status: async () => (await import('./commands/status.ts')).defineStatus,
  config: async () => (await import('./commands/config.ts')).defineConfig,
  key: async () => (await import('./commands/key.ts')).defineKey,
};

async function createProgram(words: readonly string[], run: Run): Promise<Command> {
  const program = new Command('mesh')
    .description("joins one person's devices into an end-to-end encrypted mesh over any MQTT broker")
    .option('--home <dir>', 'the data directory of the device ($MESH_HOME)')
    .option('--json', 'one JSON object per line on stdout, and nothing else')
    .option('--quiet', 'no remarks on stderr')
    .option('-v, --verbose', 'say more on stderr')
    .option('--key-file <file>', 'unlock the store with this key file ($MESH_KEY_FILE)')
    .option('--passphrase-file <file>', 'unlock it with the first line of this file ($MESH_PASSPHRASE_FILE)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeErr: () => undefined })
    .helpCommand(false)
    .exitOverride();
  const names = Object.keys(COMMANDS);
  const meant = names.filter((name) => words.includes(name));
  for (const name of meant.length > 0 ? meant : names) (await COMMANDS[name]?.())?.(program, run);
  return program;
}

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
process.exit(await main(process.argv));
