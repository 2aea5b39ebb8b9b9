import { readFile } from 'node:fs/promises';
import { Argument, type Command } from 'commander';
import { isObject, type Json } from '../../../adapters/rpc/protocol.ts';
import { MeshError } from '../../../entities/errors.ts';
import { SETTING_KEYS } from '../../../usecases/settings.ts';
import { errorCode } from '../../node/durable-file.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import type { Invocation } from '../invocation.ts';
import { withMesh } from '../session.ts';
import { asObjects } from './outbox.ts';

/** They are shown and completed, but not checked here: a daemon of another version may know others. */
function keyArgument(spelling: '<key>' | '[key]'): Argument {
  const argument = new Argument(spelling, 'the name of a setting');
  argument.argChoices = [...SETTING_KEYS];
  return argument;
}

export function defineConfig(program: Command, run: Run): void {
  const config = program.command('config').description('settings; a change takes effect at once');
  const get = config
    .command('get')
    .description('show one setting, or all')
    .addArgument(keyArgument('[key]'))
    .action((key: string | undefined, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const all = await withMesh(invocation, async (link) =>
          key === undefined ? link.call('config.list') : [await link.call('config.get', { key })],
        );
        for (const setting of asObjects(all)) await show(invocation, setting);
        return undefined;
      }),
    );
  const set = config
    .command('set')
    .description('change one setting')
    .addArgument(keyArgument('<key>'))
    .argument('<value>', '"-" reads stdin, as a password should; broker-ca takes a file')
    .action((key: string, value: string, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const params = { key, value: await valueFor(key, value) };
        await show(invocation, await withMesh(invocation, (link) => link.call('config.set', params)));
        return undefined;
      }),
    );
  const unset = config
    .command('unset')
    .description('forget one setting')
    .addArgument(keyArgument('<key>'))
    .action((key: string, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        await show(invocation, await withMesh(invocation, (link) => link.call('config.unset', { key })));
        return undefined;
      }),
    );
  withExamples(get, 'mesh config get', 'mesh config get broker');
  withExamples(
    set,
    'mesh config set broker mqtts://broker.example',
    'mesh config set broker-password - < ./password',
  );
  withExamples(unset, 'mesh config unset broker-user');
}

async function valueFor(key: string, value: string): Promise<string> {
  if (value === '-') {
    const { askSecret, isTerminal } = await import('../prompt.ts');
    if (isTerminal()) return askSecret(`${key}: `);
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    return key === 'broker-ca' ? text : text.replace(/\r?\n.*$/s, '');
  }
  return key === 'broker-ca' ? readText(value) : value;
}

export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new MeshError('file-unreadable', { path, detail: errorCode(error) ?? 'unknown' }, error);
  }
}

async function show({ out }: Invocation, setting: Json): Promise<void> {
  if (!isObject(setting)) throw new Error('a setting was answered with something else');
  const { key, value, isSet, secret } = setting;
  const shown = value ?? (isSet !== true ? '(not set)' : secret === true ? '(set, not shown)' : '');
  await out.say({ key, value, isSet }, `${key} ${shown}`);
}
