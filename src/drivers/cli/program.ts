/** The tree of commands: what is parsed, shown as help, completed by shells and printed as a manual page. */
import { Command } from 'commander';
import type { Run } from './command.ts';

type Define = (program: Command, run: Run) => void;

/** Each in a file of its own, which is read when its name is among the words, or when help is wanted. */
const COMMANDS: Readonly<Record<string, () => Promise<Define>>> = {
  start: async () => (await import('./commands/start.ts')).defineStart,
  demo: async () => (await import('./commands/demo.ts')).defineDemo,
  init: async () => (await import('./commands/init.ts')).defineInit,
  up: async () => (await import('./commands/up.ts')).defineUp,
  invite: async () => (await import('./commands/invite.ts')).defineInvite,
  requests: async () => (await import('./commands/requests.ts')).defineRequests,
  approve: async () => (await import('./commands/requests.ts')).defineApprove,
  decline: async () => (await import('./commands/requests.ts')).defineDecline,
  join: async () => (await import('./commands/join.ts')).defineJoin,
  send: async () => (await import('./commands/send.ts')).defineSend,
  listen: async () => (await import('./commands/listen.ts')).defineListen,
  outbox: async () => (await import('./commands/outbox.ts')).defineOutbox,
  cancel: async () => (await import('./commands/outbox.ts')).defineCancel,
  devices: async () => (await import('./commands/status.ts')).defineDevices,
  rename: async () => (await import('./commands/rename.ts')).defineRename,
  revoke: async () => (await import('./commands/revoke.ts')).defineRevoke,
  leave: async () => (await import('./commands/leave.ts')).defineLeave,
  group: async () => (await import('./commands/group.ts')).defineGroup,
  status: async () => (await import('./commands/status.ts')).defineStatus,
  doctor: async () => (await import('./commands/doctor.ts')).defineDoctor,
  config: async () => (await import('./commands/config.ts')).defineConfig,
  broker: async () => (await import('./commands/broker.ts')).defineBroker,
  key: async () => (await import('./commands/key.ts')).defineKey,
  service: async () => (await import('./commands/service.ts')).defineService,
  completion: async () => (await import('./commands/completion.ts')).defineCompletion,
};

/** With all commands where none of the words names one. */
export async function createProgram(words: readonly string[], run: Run): Promise<Command> {
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

/** All of it, to be looked at; nothing is run. */
export function wholeTree(): Promise<Command> {
  return createProgram([], async () => undefined);
}
