import { type Command, Option } from 'commander';
import { fromRpcError, isObject, type Json, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { type Interruption, watchInterruption } from '../interruption.ts';
import { duration, harmless, type Invocation } from '../invocation.ts';
import { ask, isTerminal, type Question } from '../prompt.ts';
import { type Link, withMesh } from '../session.ts';
import { createTold } from '../told.ts';

interface InviteOptions {
  readonly ttl?: string;
  readonly wait: boolean;
  readonly shareBrokerLogin?: true;
  readonly cancel?: true;
}

const FIRST_QUESTION = 'type the code that it shows (Ctrl-C declines): ';
const NEXT_QUESTION = 'a code has eight digits, so this was none; once more: ';

export function defineInvite(program: Command, run: Run): void {
  const command = program
    .command('invite')
    .description('let another device join: show a link and a code to scan, and wait for it')
    .option('--ttl <duration>', 'how long the invite lives, a second to a day (10m)')
    .option('--no-wait', 'leave the rest to the daemon, and to "mesh approve"')
    .option('--share-broker-login', 'put the login of the broker into the link')
    .addOption(
      new Option('--cancel', 'end the invite that is in use').conflicts(['ttl', 'wait', 'shareBrokerLogin']),
    )
    .action((options: InviteOptions, command: Command) =>
      run(command, (invocation) => {
        return options.cancel === true ? cancelInvite(invocation) : invite(invocation, options);
      }),
    );
  withExamples(command, 'mesh invite', 'mesh invite --ttl 1h --no-wait --json', 'mesh invite --cancel');
}

async function cancelInvite(invocation: Invocation): Promise<ExitStatus> {
  const answer = await withMesh(invocation, (link) => link.call('invite.cancel'));
  const inviteId = isObject(answer) ? answer.inviteId : undefined;
  await invocation.out.say({ event: 'cancelled', inviteId }, 'the invite is cancelled');
  return ExitStatus.done;
}

async function invite(invocation: Invocation, options: InviteOptions): Promise<ExitStatus> {
  const params: JsonObject = {
    ttl: options.ttl === undefined ? undefined : duration(options.ttl),
    shareBrokerLogin: options.shareBrokerLogin === true,
    wait: options.wait,
  };
  const interruption = watchInterruption();
  let inviteId: Json | undefined;
  try {
    await withMesh(invocation, async (link) => {
      const news = newsOf(link);
      const answer =
        inviteId === undefined
          ? await link.call('invite', params)
          : // Whoever had the store ended; the invite lives on with the next one.
            await link.call('invite.watch', { inviteId });
      if (!isObject(answer)) throw new Error('an invite was answered with something else');
      if (inviteId === undefined) await showInvite(invocation, answer, options);
      inviteId = answer.inviteId;
      if (options.wait) await attend({ invocation, link, news, answer, interruption });
    });
  } finally {
    interruption.stop();
  }
  return ExitStatus.done;
}

export async function showInvite(
  { out, json }: Invocation,
  { link, inviteId, expiresAt, fingerprint, brokerLogin }: JsonObject,
  { shareBrokerLogin }: Pick<InviteOptions, 'shareBrokerLogin'> = {},
): Promise<void> {
  const text = String(link);
  const onScreen = !json && process.stdout.isTTY === true;
  await out.say(
    { event: 'invite', link, inviteId, expiresAt },
    onScreen ? await forScreen(text, expiresAt, fingerprint) : text,
  );
  if (shareBrokerLogin === true && brokerLogin !== 'shared') {
    out.note('there is no login in the settings that could be shared; the link is as it would be without');
  }
  if (brokerLogin === 'withheld') {
    out.note(
      'the login of the broker is not in the link: give the new device one with --broker-user, or share this one with --share-broker-login',
    );
  }
}

/** The code comes last, so that all of it is in view. */
async function forScreen(link: string, expiresAt: Json | undefined, fingerprint: Json | undefined) {
  const { drawQr } = await import('../qr.ts');
  const code = drawQr(link);
  const { columns = 0, rows = 0 } = process.stdout;
  const fits = code.columns <= columns && code.rows < rows;
  const until = new Date(Number(expiresAt)).toLocaleTimeString();
  return [
    `an invite for one device, good until ${until}`,
    `fingerprint of this device: ${fingerprint}`,
    'on the new device call "mesh join -" and paste this link, or scan the code:',
    '',
    link,
    '',
    fits
      ? code.text.trimEnd()
      : `the code needs ${code.columns} columns and ${code.rows + 1} lines, more than this terminal has: paste the link`,
  ].join('\n');
}

export interface News {
  next(): Promise<JsonObject>;
}

/** What is told of the invite, in order. */
export function newsOf(link: Link): News {
  const told = createTold<JsonObject>();
  link.on('invite', told.add);
  return { next: told.next };
}

export interface Attendance {
  readonly invocation: Invocation;
  readonly link: Link;
  readonly news: News;
  readonly answer: JsonObject;
  readonly interruption: Pick<Interruption, 'came'>;
  /** How the person is asked for the code, where there is one to ask. */
  readonly askPerson?: (text: string) => Question;
}

type Step =
  | { readonly what: 'news'; readonly event: JsonObject }
  | { readonly what: 'typed'; readonly code: string | undefined }
  | { readonly what: 'approved'; readonly event: JsonObject }
  | { readonly what: 'malformed' };

/** Until somebody has joined. Throws how it ended otherwise. */
export async function attend({
  invocation,
  link,
  news,
  answer,
  interruption,
  askPerson = ask,
}: Attendance): Promise<void> {
  const { out } = invocation;
  const { inviteId } = answer;
  let requestId: Json | undefined;
  let question: Question | undefined;
  let typed: Promise<Step> | undefined;
  let approval: Promise<Step> | undefined;
  const nextNews = (): Promise<Step> => news.next().then((event) => ({ what: 'news', event }));
  let coming = nextNews();

  function askForCode(text: string): void {
    question = askPerson(text);
    typed = question.answer.then((code) => ({ what: 'typed', code }));
  }

  /** Nothing is left half done: without its person the invite ends. */
  async function giveUp(): Promise<MeshError> {
    if (approval !== undefined) return new MeshError('approve-open');
    const asked = requestId !== undefined;
    const ended = asked
      ? link.call('decline', { request: requestId })
      : link.call('invite.cancel', { inviteId });
    await ended.catch((error: unknown) => {
      // It was over already.
      if (!(error instanceof MeshError) || error.exit !== ExitStatus.unknownTarget) throw error;
    });
    return new MeshError(asked ? 'invite-declined' : 'invite-cancelled');
  }

  try {
    for (;;) {
      const waiting = [coming, typed, approval, interruption.came, link.broken];
      const step = await Promise.race(waiting.filter((one) => one !== undefined));
      if (step === 'interrupted') throw await giveUp();
      switch (step.what) {
        case 'news': {
          coming = nextNews();
          const { event, error } = step.event;
          if (event === 'ended') throw fromRpcError(error);
          if (event === 'trouble') out.note(fromRpcError(error).message);
          if (event === 'joined') return await sayJoined(invocation, step.event);
          if (event !== 'claimed') break;
          if (requestId === undefined) await sayClaimed(invocation, step.event, answer);
          requestId = step.event.requestId;
          if (isTerminal()) askForCode(FIRST_QUESTION);
          else out.note('type the code that it shows with "mesh approve --code"');
          break;
        }
        case 'typed': {
          typed = undefined;
          question = undefined;
          if (step.code === undefined) throw await giveUp();
          approval = approve(link, step.code, requestId);
          break;
        }
        case 'malformed':
          approval = undefined;
          askForCode(NEXT_QUESTION);
          break;
        case 'approved':
          return await sayJoined(invocation, step.event);
      }
    }
  } finally {
    question?.withdraw();
  }
}

async function approve(link: Link, code: string, request: Json | undefined): Promise<Step> {
  try {
    const event = await link.call('approve', { code, request });
    if (!isObject(event)) throw new Error('an approval was answered with something else');
    return { what: 'approved', event };
  } catch (error) {
    if (error instanceof MeshError && error.code === 'code-malformed') return { what: 'malformed' };
    throw error;
  }
}

async function sayClaimed(
  { out }: Invocation,
  { requestId, deviceId, name, fingerprint }: JsonObject,
  { fingerprint: own }: JsonObject,
): Promise<void> {
  await out.say(
    { event: 'claimed', requestId, deviceId, name, fingerprint },
    [
      `"${harmless(String(name))}" asks to join; compare what both devices show:`,
      `  fingerprint of the new device: ${fingerprint}`,
      `  fingerprint of this device:    ${own}`,
    ].join('\n'),
  );
}

export async function sayJoined({ out }: Invocation, { deviceId, name }: JsonObject): Promise<void> {
  await out.say({ event: 'joined', deviceId, name }, `"${harmless(String(name))}" is a member now`);
}
