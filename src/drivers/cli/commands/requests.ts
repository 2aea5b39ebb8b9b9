/** The inviter's end of a pairing from a script, or from a second terminal. */
import type { Command } from 'commander';
import { isObject, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { duration, harmless, type Invocation } from '../invocation.ts';
import { ask, isTerminal } from '../prompt.ts';
import { withMesh } from '../session.ts';
import { sayJoined } from './invite.ts';
import { asObjects } from './outbox.ts';

interface ApproveOptions {
  readonly code?: string;
  readonly timeout?: string;
}

export function defineRequests(program: Command, run: Run): void {
  const requests = program
    .command('requests')
    .description('devices that wait for their code to be typed')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const all = await withMesh(invocation, (link) => link.call('requests'));
        for (const request of asObjects(all)) await invocation.out.say(request, describe(request));
        return undefined;
      }),
    );
  withExamples(requests, 'mesh requests', 'mesh requests --json | jq -r .requestId');
}

export function defineApprove(program: Command, run: Run): void {
  const approve = program
    .command('approve')
    .description('let a device in, with the code that it shows; a wrong one ends the invite')
    .argument('[request]', 'which one, as "mesh requests" shows it, where there are several')
    .option('--code <digits>', 'the eight digits; without it they are asked for')
    .option('--timeout <duration>', 'wait no longer than this for the device to take its place (1m)')
    .action((request: string | undefined, options: ApproveOptions, command: Command) =>
      run(command, async (invocation) => {
        await approveRequest(invocation, request, options);
        return undefined;
      }),
    );
  withExamples(approve, 'mesh approve --code 12345678');
}

export function defineDecline(program: Command, run: Run): void {
  const decline = program
    .command('decline')
    .description('send a device away that asks to join, and end the invite')
    .argument('[request]', 'which one, as "mesh requests" shows it, where there are several')
    .action((request: string | undefined, _options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const declined = await withMesh(invocation, (link) => link.call('decline', { request }));
        if (!isObject(declined)) throw new Error('decline was answered with something else');
        await invocation.out.say({ event: 'declined', ...declined }, `declined: ${describe(declined)}`);
        return undefined;
      }),
    );
  withExamples(decline, 'mesh decline');
}

async function approveRequest(
  invocation: Invocation,
  request: string | undefined,
  { code: given, timeout: limit }: ApproveOptions,
): Promise<void> {
  const timeout = limit === undefined ? undefined : duration(limit);
  if (given === undefined && !isTerminal()) {
    throw new MeshError('usage', { detail: 'give the code with --code' });
  }
  const code = given ?? (await ask('the code that the new device shows: ').answer);
  if (code === undefined) throw new MeshError('usage', { detail: 'no code was given' });
  const joined = await withMesh(invocation, (link) => link.call('approve', { code, request, timeout }));
  if (!isObject(joined)) throw new Error('approve was answered with something else');
  await sayJoined(invocation, joined);
}

function describe({ requestId, name, fingerprint }: JsonObject): string {
  return `${requestId}  ${fingerprint}  ${harmless(String(name))}`;
}
