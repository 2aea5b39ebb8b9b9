import { type Command, Option } from 'commander';
import { isObject, type Json, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { duration, harmless, type Invocation } from '../invocation.ts';
import { confirm } from '../prompt.ts';
import { type Link, withMesh } from '../session.ts';
import { asObjects } from './outbox.ts';

interface RevokeOptions {
  readonly reason?: string;
  readonly yes?: true;
  readonly wait?: true;
  readonly timeout?: string;
}

export function defineRevoke(program: Command, run: Run): void {
  const revoke = program
    .command('revoke')
    .description('remove a device from the mesh, for ever')
    .argument('<device>', 'a device id, 6 or more of its first characters, or a name')
    .addOption(new Option('--reason <reason>', 'why (retired)').choices(['lost', 'retired']))
    .option('--yes', 'do it without a question')
    .option('--wait', 'return when every member has confirmed it')
    .option('--timeout <duration>', 'with --wait: no longer than this')
    .action((device: string, options: RevokeOptions, command: Command) =>
      run(command, (invocation) => revokeDevice(invocation, device, options)),
    );
  withExamples(revoke, 'mesh revoke "old phone"', 'mesh revoke pi --reason lost --wait --timeout 1m');
}

async function revokeDevice(
  invocation: Invocation,
  name: string,
  options: RevokeOptions,
): Promise<ExitStatus> {
  const { out } = invocation;
  const { reason, yes, wait, timeout: limit } = options;
  if (limit !== undefined && wait !== true) {
    throw new MeshError('usage', { detail: '--timeout needs --wait' });
  }
  const timeout = limit === undefined ? undefined : duration(limit);
  let agreed = yes === true;
  let device: Json | undefined;
  const [result, sharedLogin] = await withMesh(invocation, async (link) => {
    const preview = await link.call('revoke.preview', { device: device ?? name });
    if (!isObject(preview)) throw new Error('a preview was answered with something else');
    const again = await isRevoked(link, preview.deviceId);
    if (!again) tell(invocation, preview);
    if (!agreed && !again) await confirm('remove it for ever? [y/N] ');
    agreed = true;
    // What was begun before the connection ended is done already, and asking how it stands is left.
    const askOnly = again && device !== undefined && wait !== true;
    device = preview.deviceId;
    const params = askOnly ? { device, wait: true, timeout: 0 } : { device, reason, wait, timeout };
    return [await link.call('revoke', params), again ? undefined : await knownLogin(link)];
  });
  if (!isObject(result)) throw new Error('revoke was answered with something else');
  const { deviceId, confirmed, unconfirmed, all } = result;
  const open = Array.isArray(unconfirmed) ? unconfirmed.length : 0;
  await out.say(
    { event: 'revoked', deviceId, confirmed, unconfirmed },
    `"${harmless(String(result.name))}" is removed${open === 0 ? '' : `; ${open} of the members have not confirmed it yet`}`,
  );
  if (sharedLogin !== undefined) {
    out.note(
      `it knows the login "${harmless(sharedLogin)}" of the broker: change it there, then on each device`,
    );
  }
  if (wait === true && all !== true) throw new MeshError('revoke-open', { count: open });
  return ExitStatus.done;
}

function tell({ out }: Invocation, { name, fingerprint, voided, added }: JsonObject): void {
  out.note(`this removes "${harmless(String(name))}" (${fingerprint})`);
  const list = (devices: Json | undefined): string =>
    asObjects(devices ?? [])
      .map((one) => `"${harmless(String(one.name))}"`)
      .join(', ');
  if (list(voided) !== '') {
    out.note(`these lose their place with it, and have to be invited again: ${list(voided)}`);
  }
  if (list(added) !== '') out.note(`it has added: ${list(added)}`);
}

async function isRevoked(link: Link, deviceId: Json | undefined): Promise<boolean> {
  const devices = asObjects(await link.call('devices'));
  const status = devices.find((one) => one.deviceId === deviceId)?.status;
  return status === 'revoked' || status === 'left';
}

/**
 * The login that all devices share, and so the removed one too. At an embedded broker each has its own, named
 * after its id, and a removed one is locked out by itself.
 */
async function knownLogin(link: Link): Promise<string | undefined> {
  const [login, status] = await Promise.all([
    link.call('config.get', { key: 'broker-user' }),
    link.call('status'),
  ]);
  const user = isObject(login) ? login.value : undefined;
  if (typeof user !== 'string' || !isObject(status) || user === status.deviceId) return undefined;
  return user;
}
