import type { Command } from 'commander';
import { isObject, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { duration, harmless, type Invocation, positive } from '../invocation.ts';
import { type Link, withMesh } from '../session.ts';
import { createTold } from '../told.ts';

interface ListenOptions {
  readonly from?: string;
  readonly group?: string;
  readonly thread?: string;
  readonly cursor?: string;
  readonly count?: string;
  readonly timeout?: string;
  readonly peek?: true;
  readonly exec?: string;
}

export function defineListen(program: Command, run: Run): void {
  const command = program
    .command('listen')
    .description('print messages as they come, and first those that came while nobody listened')
    .option('--from <device>', 'only from this device')
    .option('--group <group-or-all>', 'only what was sent to this group, or to "all"')
    .option('--thread <thread>', 'only of this thread')
    .option('--cursor <name>', 'go on where the reader of this name ended')
    .option('--count <n>', 'end after so many messages')
    .option('--timeout <duration>', 'end after this time')
    .option('--peek', 'leave the cursor where it is')
    .option('--exec <command>', 'run a command for each message, payload on its stdin')
    .action((options: ListenOptions, command: Command) =>
      run(command, (invocation) => listen(invocation, options)),
    );
  withExamples(
    command,
    'mesh listen',
    'mesh listen --group phones',
    'mesh listen --json --count 1 --timeout 1h',
    "mesh listen --from pi --cursor temperature --exec 'jq .temperature'",
  );
}

async function listen(invocation: Invocation, options: ListenOptions): Promise<ExitStatus> {
  const wanted = options.count === undefined ? undefined : positive(options.count, '--count');
  const limit = options.timeout === undefined ? undefined : duration(options.timeout);
  const handle =
    options.exec === undefined
      ? undefined
      : (await import('../run-command.ts')).commandRunner(options.exec, invocation);
  let count = 0;
  const timeUp = new Promise<'time-up'>((resolve) => {
    if (limit !== undefined) setTimeout(resolve, limit, 'time-up' as const);
  });
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'));
  });

  const outcome = await withMesh(invocation, async (link) => {
    const inbox = await subscribe(link, options);
    for (;;) {
      if (wanted !== undefined && count >= wanted) return 'enough';
      const next = await Promise.race([inbox.next(), timeUp, interrupted, link.broken]);
      if (typeof next === 'string') return next;
      if (handle === undefined) await print(invocation, next.message);
      else {
        const ran = await Promise.race([handle(next.message, inbox.trouble), interrupted, link.broken]);
        if (typeof ran === 'string') return ran;
        if (invocation.json) await print(invocation, next.message);
      }
      count += 1;
      await inbox.done(next.number);
    }
  });
  if (outcome === 'time-up' && wanted !== undefined) throw new MeshError('listen-timeout', { count, wanted });
  return ExitStatus.done;
}

interface Delivered {
  readonly number: number;
  readonly message: JsonObject;
}

interface Subscription {
  next(): Promise<Delivered>;
  done(number: number): Promise<void>;
  trouble(attempts: number, error: string): void;
}

async function subscribe(link: Link, options: ListenOptions): Promise<Subscription> {
  const { from, group, thread, cursor, peek } = options;
  const come = createTold<Delivered>();
  link.on('message', ({ number, message }) => {
    if (typeof number !== 'number' || !isObject(message)) return;
    come.add({ number, message });
  });
  const answer = await link.call('listen', { from, group, thread, cursor, peek });
  const subscription = isObject(answer) ? answer.subscription : undefined;
  return {
    next: come.next,
    async done(number) {
      await link.call('listen.done', { subscription, number });
    },
    trouble(attempts, error) {
      link.call('listen.trouble', { subscription, attempts, error }).catch(() => undefined);
    },
  };
}

async function print({ out }: Invocation, message: JsonObject): Promise<void> {
  const { fromName, group, groupId, text, data, type } = message;
  const shown =
    typeof text === 'string'
      ? toScreen(text.replace(/\n$/, ''))
      : `[${String(type)}, base64] ${String(data)}`;
  const circle = groupId === 'all' ? ' (all)' : typeof group === 'string' ? ` (@${harmless(group)})` : '';
  await out.say(message, `${harmless(String(fromName))}${circle}: ${shown}`);
}

/** A pipe gets it as it came. */
const toScreen = (text: string): string => (process.stdout.isTTY === true ? harmless(text) : text);
