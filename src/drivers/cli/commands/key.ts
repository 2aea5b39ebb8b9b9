import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { isObject, type Json } from '../../../adapters/rpc/protocol.ts';
import { MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { type Invocation, positive } from '../invocation.ts';
import { withMesh } from '../session.ts';
import { asObjects } from './outbox.ts';

export function defineKey(program: Command, run: Run): void {
  const key = program.command('key').description('who can unlock the store of this device');
  const list = key
    .command('list')
    .description('the unlock slots')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const slots = await withMesh(invocation, (link) => link.call('key.list'));
        for (const slot of asObjects(slots)) await show(invocation, slot);
        return undefined;
      }),
    );
  const add = key
    .command('add')
    .description('add a key file (made if missing), or a passphrase (asked for, or the first line of a file)')
    .addArgument(new Argument('<kind>', 'what unlocks it').choices(['key-file', 'passphrase']))
    .argument('[file]', 'the key file, or the file with the passphrase')
    .action((kind: string, file: string | undefined, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const params = await newSlot(kind, file);
        const added = await withMesh(invocation, (link) => link.call('key.add', params), {
          repeatable: false,
        });
        await show(invocation, added);
        return undefined;
      }),
    );
  const remove = key
    .command('remove')
    .description('remove an unlock slot; the last one stays')
    .argument('<number>', 'as "mesh key list" shows it')
    .action((number: string, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const params = { number: positive(number, 'remove') };
        const removed = await withMesh(invocation, (link) => link.call('key.remove', params), {
          repeatable: false,
        });
        await show(invocation, removed);
        return undefined;
      }),
    );
  withExamples(list, 'mesh key list');
  withExamples(add, 'mesh key add key-file /media/stick/laptop.key', 'mesh key add passphrase');
  withExamples(remove, 'mesh key remove 1');
}

/** The secret travels over the local socket only. */
async function newSlot(kind: string, file: string | undefined): Promise<{ kind: string; secret: string }> {
  const { keyFileAt } = await import('../unlocking.ts');
  const { readPassphraseFile } = await import('../../node/unlock.ts');
  const { passphraseSecret } = await import('../../../adapters/keystore/slot.ts');
  const { askSecret, isTerminal } = await import('../prompt.ts');
  const wrong = (detail: string): MeshError => new MeshError('usage', { detail });
  const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  if (kind === 'key-file') {
    if (file === undefined) throw wrong('name the key file');
    return { kind, secret: encode((await keyFileAt(resolve(file))).unlock.secret.expose()) };
  }
  if (file !== undefined) return { kind, secret: encode((await readPassphraseFile(file)).secret.expose()) };
  if (!isTerminal()) throw wrong('name a file with the passphrase, or run on a terminal to be asked');
  const passphrase = await askSecret('new passphrase: ');
  if (passphrase === '') throw wrong('the passphrase is empty');
  if ((await askSecret('the same again: ')) !== passphrase) throw new MeshError('passphrase-mismatch');
  return { kind, secret: encode(passphraseSecret(passphrase).secret.expose()) };
}

async function show({ out }: Invocation, slot: Json): Promise<void> {
  if (!isObject(slot)) throw new Error('a slot was answered with something else');
  await out.say(slot, `${slot.number}  ${slot.kind ?? 'removed'}`);
}
