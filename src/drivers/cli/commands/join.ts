import type { Command } from 'commander';
import { describeLink, parseLink } from '../../../adapters/api/pairing.ts';
import { fromRpcError, isObject, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { parseDeviceName } from '../../../entities/device-name.ts';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import { showCode } from '../../../entities/pairing/transcript.ts';
import { nodeClock } from '../../node/clock.ts';
import { exists, homeAt } from '../../node/home.ts';
import { nodePrimitives } from '../../node/primitives.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { hostDeviceName } from '../host-name.ts';
import { type BrokerOptions, brokerSettings, initialise } from '../initialise.ts';
import { watchInterruption } from '../interruption.ts';
import { harmless, type Invocation } from '../invocation.ts';
import { ask, confirm, isTerminal } from '../prompt.ts';
import { type Link, withMesh } from '../session.ts';
import { deviceOptions, tellOfKeyFile } from './init.ts';

interface JoinCommandOptions extends BrokerOptions {
  readonly name?: string;
  readonly yes?: true;
}

/** More than any link has, however it was wrapped and indented. */
const MOST_PASTED = 16 * 1024;

export function defineJoin(program: Command, run: Run): void {
  const join = deviceOptions(
    program
      .command('join')
      .description('join the mesh of an invite; makes this device where there is none')
      .argument('<link>', '"-" reads it from stdin, so that it stands in no list of processes')
      .option('--yes', 'do it without a question'),
  ).action((link: string, options: JoinCommandOptions, command: Command) =>
    run(command, (invocation) => joinMesh(invocation, link, options)),
  );
  withExamples(
    join,
    'mesh join -',
    'mesh join - --name "the Pi" --yes < ./link',
    'mesh join - --broker-user pi --broker-password-file ./password',
  );
}

async function joinMesh(
  invocation: Invocation,
  word: string,
  options: JoinCommandOptions,
): Promise<ExitStatus> {
  const { home } = invocation;
  const text = (word === '-' ? await pasted() : word).replaceAll(/\s/g, '');
  const link = parseLink(nodePrimitives.hash, text);
  if (nodeClock.now() >= link.expiresAt) throw new MeshError('invite-expired');
  const settings = await brokerSettings(options);
  const user = settings.get('broker-user');
  const params: JsonObject = {
    link: text,
    ca: settings.get('broker-ca'),
    login: user === undefined ? undefined : { user, password: settings.get('broker-password') },
  };
  const agree = (): Promise<void> => confirmInviter(invocation, describeLink(link), options, word === '-');
  const name = options.name ?? hostDeviceName();
  async function makeDevice(): Promise<void> {
    // A login for the broker of the link is not to be shown to another one, should this fail.
    const { brokerUser: _user, brokerPasswordFile: _file, brokerCa: _ca, ...others } = options;
    const made = await initialise(invocation, name, options.broker === undefined ? others : options);
    tellOfKeyFile(invocation, made.keyFile);
  }
  const isNew = !(await exists(homeAt(home).header));
  if (isNew) {
    const parsed = parseDeviceName(name);
    if ('refused' in parsed) throw new MeshError(parsed.refused);
    await agree();
    await makeDevice();
  } else if (options.broker ?? options.brokerPin ?? options.topicPrefix) {
    throw new MeshError('usage', {
      detail:
        'the link says which broker it is; --broker, --broker-pin and --topic-prefix are for a new device',
    });
  }
  const interruption = watchInterruption();
  let agreed = isNew;
  const joinOnce = () =>
    withMesh(
      invocation,
      async (session) => {
        const look = await session.call('join.look', { link: text });
        checkName(look, options.name);
        if (!agreed) await agree();
        agreed = true;
        showNews(invocation, session, describeLink(link));
        const joining = session.call('join', params);
        const first = await Promise.race([joining, interruption.came]);
        if (first !== 'interrupted') return first;
        // What comes of it is told in the answer: the other end may have been faster.
        await session.call('join.cancel');
        return joining;
      },
      { repeatable: false },
    );
  try {
    const joined = await joinOnce().catch(async (error: unknown) => {
      if (!(error instanceof MeshError) || error.code !== 'store-unfinished') throw error;
      // An earlier call was cut off between the making of the store and that of the device.
      if (!agreed) await agree();
      agreed = true;
      await makeDevice();
      return joinOnce();
    });
    if (!isObject(joined)) throw new Error('a join was answered with something else');
    const { deviceId, members } = joined;
    await invocation.out.say(
      { event: 'joined', deviceId, members },
      `this device is a member now, one of ${members}`,
    );
  } finally {
    interruption.stop();
  }
  return ExitStatus.done;
}

/** A name that was given once may be given again, as with a call that is repeated. */
function checkName(look: unknown, name: string | undefined): void {
  const self = isObject(look) && isObject(look.self) ? look.self : {};
  if (name !== undefined && self.name !== name) {
    throw new MeshError('join-name-given', { name: String(self.name) });
  }
}

async function confirmInviter(
  { out }: Invocation,
  { deviceId, name, fingerprint, broker }: ReturnType<typeof describeLink>,
  { yes }: JoinCommandOptions,
  stdinIsTaken: boolean,
): Promise<void> {
  await out.say(
    { event: 'inviter', deviceId, name, fingerprint, broker },
    [
      `an invite of "${harmless(name)}"`,
      `  its fingerprint: ${fingerprint}`,
      `  the broker:      ${broker}`,
    ].join('\n'),
  );
  if (yes !== true) await confirm('join its mesh? [y/N] ', stdinIsTaken);
}

function showNews(
  { out }: Invocation,
  session: Link,
  { name, fingerprint: theirs }: ReturnType<typeof describeLink>,
): void {
  const inviter = harmless(name);
  session.on('join', ({ event, code, fingerprint, error }) => {
    if (event === 'trouble') out.note(fromRpcError(error).message);
    if (event !== 'code') return;
    const text = [
      `type this code at "${inviter}":`,
      '',
      `    ${showCode(String(code))}`,
      '',
      `fingerprint of this device: ${fingerprint}`,
      `fingerprint of "${inviter}": ${theirs}`,
      'where you see both screens, compare these too',
    ];
    // Where nobody reads, nobody can type it either; that ends by itself.
    out.say({ event: 'code', code, fingerprint }, text.join('\n')).catch(() => undefined);
  });
}

/** A link that was wrapped into lines is one all the same. */
async function pasted(): Promise<string> {
  if (isTerminal()) {
    const isWhole = (text: string): boolean => text.endsWith('\n') || !isCut(text);
    const answer = await ask('paste the link (it is not shown): ', { hidden: true, isWhole }).answer;
    if (answer === undefined) throw new MeshError('usage', { detail: 'no link was given' });
    return answer;
  }
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MOST_PASTED) break;
  }
  return text;
}

function isCut(text: string): boolean {
  try {
    parseLink(nodePrimitives.hash, text);
    return false;
  } catch (error) {
    return error instanceof MeshError && error.code === 'link-cut';
  }
}
