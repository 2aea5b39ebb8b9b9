import type { Command } from 'commander';
import { isObject, type Json, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { harmless } from '../invocation.ts';
import { withMesh } from '../session.ts';

export function defineOutbox(program: Command, run: Run): void {
  const outbox = program
    .command('outbox')
    .description('what still waits, for whom, and why')
    .option('--all', 'also how it ended in the last 7 days')
    .action((options: { readonly all?: true }, command: Command) =>
      run(command, async (invocation) => {
        const all = await withMesh(invocation, (link) => link.call('outbox', { all: options.all === true }));
        for (const message of asObjects(all)) {
          await invocation.out.say({ event: 'sent', ...message }, describe(message));
        }
        return undefined;
      }),
    );
  withExamples(outbox, 'mesh outbox', 'mesh outbox --all --json');
}

export function defineCancel(program: Command, run: Run): void {
  const cancel = program
    .command('cancel')
    .description('take back what has not gone out yet')
    .argument('<id>', 'the id that "send" gave, or was given')
    .action((id: string, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const result = await withMesh(invocation, (link) => link.call('cancel', { id }));
        for (const message of asObjects([result])) {
          await invocation.out.say({ event: 'sent', ...message }, describe(message));
        }
        return undefined;
      }),
    );
  withExamples(cancel, 'mesh cancel bef8784d6f14753fd03ac6095aa8a895');
}

function describe({ id, group, to, lastError }: JsonObject): string {
  const circle = typeof group !== 'string' ? '' : `  (${group === 'all' ? 'all' : `@${harmless(group)}`})`;
  const each = asObjects(to ?? []).map((one) => `${one.deviceId} ${one.state}`);
  return `${id}${circle}  ${each.join(', ')}${typeof lastError === 'string' ? `  (${lastError})` : ''}`;
}

export function asObjects(value: Json): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
