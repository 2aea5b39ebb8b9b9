import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import { exists, homeAt } from '../../node/home.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { duration, type Invocation } from '../invocation.ts';
import { confirm } from '../prompt.ts';
import { withMesh } from '../session.ts';

interface LeaveOptions {
  readonly yes?: true;
  readonly force?: true;
  readonly timeout?: string;
}

/** How long a daemon may take to end and delete its store. */
const DELETING = 5000;

export function defineLeave(program: Command, run: Run): void {
  const leave = program
    .command('leave')
    .description('take this device out of its mesh, and delete it here')
    .option('--yes', 'do it without a question')
    .option('--force', 'delete it even if no other device has heard of it')
    .option('--timeout <duration>', 'wait no longer than this for another device to hear of it (30s)')
    .action((options: LeaveOptions, command: Command) =>
      run(command, (invocation) => leaveMesh(invocation, options)),
    );
  withExamples(leave, 'mesh leave', 'mesh leave --yes --force');
}

async function leaveMesh(invocation: Invocation, options: LeaveOptions): Promise<ExitStatus> {
  const { home, out } = invocation;
  const timeout = options.timeout === undefined ? undefined : duration(options.timeout);
  const force = options.force === true;
  let begun = false;
  try {
    await withMesh(invocation, async (link) => {
      // Asked once it is known that there is something to leave.
      if (!begun && options.yes !== true) {
        out.note(`this deletes the device in ${home}, with its keys and messages`);
        await confirm('leave the mesh? [y/N] ');
      }
      begun = true;
      await link.call('leave', { force, timeout });
    });
  } catch (error) {
    // The answer got lost, and what was asked for is done.
    const gone = begun && error instanceof MeshError && error.code === 'store-not-initialised';
    if (!gone) throw error;
  }
  await untilDeleted(home);
  await out.say({ event: 'left' }, 'this device has left the mesh, and is deleted here');
  return ExitStatus.done;
}

async function untilDeleted(home: string): Promise<void> {
  const deadline = performance.now() + DELETING;
  while ((await exists(homeAt(home).header)) && performance.now() < deadline) await pause(20);
}
