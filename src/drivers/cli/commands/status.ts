import type { Command } from 'commander';
import { isObject } from '../../../adapters/rpc/protocol.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { harmless } from '../invocation.ts';
import { withMesh } from '../session.ts';
import { asObjects } from './outbox.ts';

export function defineDevices(program: Command, run: Run): void {
  const devices = program
    .command('devices')
    .description('members and former members')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const devices = await withMesh(invocation, (link) => link.call('devices'));
        for (const device of asObjects(devices)) {
          const { fingerprint, name, status, self } = device;
          const text = `${fingerprint}  ${String(status).padEnd(7)}  ${harmless(String(name))}`;
          await invocation.out.say(device, self === true ? `${text} (this device)` : text);
        }
        return undefined;
      }),
    );
  withExamples(
    devices,
    'mesh devices',
    'mesh devices --json | jq -r \'select(.status == "member") | .name\'',
  );
}

export function defineStatus(program: Command, run: Run): void {
  const command = program
    .command('status')
    .description('how this device, its broker and its queues stand')
    .action((_options: unknown, command: Command) =>
      run(command, async (invocation) => {
        const status = await withMesh(invocation, (link) => link.call('status'));
        if (!isObject(status)) throw new Error('status was answered with something else');
        const broker = isObject(status.broker) ? status.broker : {};
        const daemon = status.host === 'daemon';
        const lines = [
          `device   ${status.deviceId} ${harmless(String(status.name))}`,
          `daemon   ${daemon ? `process ${status.pid}` : 'not running'}`,
          `broker   ${broker.url ?? 'none'}${broker.connected === true ? ' (connected)' : ''}`,
          ...(typeof broker.message === 'string' ? [`         ${broker.message}`] : []),
          `members  ${status.members}`,
          `outbox   ${status.outbox} waiting`,
        ];
        await invocation.out.say({ ...status, daemon }, lines.join('\n'));
        return undefined;
      }),
    );
  withExamples(command, 'mesh status', 'mesh status --json | jq .broker.connected');
}
