import type { Command } from 'commander';
import type { JsonObject } from '../../../adapters/rpc/protocol.ts';
import { type ErrorCode, ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { harmless, type Invocation } from '../invocation.ts';
import { withMesh } from '../session.ts';

/** What keeps a store from being opened and is a matter of who may read what. */
const PERMISSIONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'store-permissions',
  'store-foreign-owner',
  'store-symlink',
  'store-secret-exposed',
]);

export function defineDoctor(program: Command, run: Run): void {
  const doctor = program
    .command('doctor')
    .description('check the store, the clock, the broker and the other devices, and say what to do')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        await examine(invocation);
        return undefined;
      }),
    );
  withExamples(doctor, 'mesh doctor', 'mesh doctor --json | jq -r "select(.ok == false) | .hint"');
}

async function examine(invocation: Invocation): Promise<void> {
  const failed: string[] = [];
  let shown: Promise<void> = Promise.resolve();
  const show = (check: JsonObject): void => {
    if (check.ok !== true) failed.push(title(check));
    shown = shown.then(() => invocation.out.say(check, describe(check)));
    // Heard of below, where it is waited for.
    shown.catch(() => undefined);
  };
  try {
    await withMesh(
      invocation,
      async (link) => {
        link.on('check', show);
        await link.call('doctor');
      },
      { repeatable: false },
    );
  } catch (error) {
    if (!(error instanceof MeshError) || error.exit !== ExitStatus.store) throw error;
    const { code, message, hint } = error;
    const check = PERMISSIONS.has(code) ? 'permissions' : 'store';
    show({ check, ok: false, detail: message, hint });
  }
  await shown;
  if (failed.length > 0) {
    throw new MeshError('doctor-failed', { count: failed.length, checks: failed.join(', ') });
  }
}

const title = ({ check }: JsonObject): string => String(check).replaceAll('-', ' ');

function describe(check: JsonObject): string {
  const { ok, detail, hint } = check;
  const line = `${ok === true ? 'ok    ' : 'FAILED'}  ${title(check).padEnd(17)}  ${harmless(String(detail))}`;
  return typeof hint === 'string' ? `${line}\n${' '.repeat(27)}${harmless(hint)}` : line;
}
