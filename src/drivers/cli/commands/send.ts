import { type Command, Option } from 'commander';
import { isObject, type Json, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { ExitStatus, explanations, MeshError } from '../../../entities/errors.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { duration, type Invocation } from '../invocation.ts';
import { withMesh } from '../session.ts';

interface SendOptions {
  readonly type?: string;
  readonly thread?: string;
  readonly ttl?: string;
  readonly wait?: string;
  readonly timeout?: string;
  readonly id?: string;
}

export function defineSend(program: Command, run: Run): void {
  const command = program
    .command('send')
    .description('send a message to a device, to a group, or to all')
    .argument('<target>', 'a device id, 6 or more of its first characters, a name, "@" and a group, or "all"')
    .argument('[text]', 'the message; "-" or nothing reads stdin, bytes kept exactly')
    .option('--type <mime>', 'what the message is, for the reader')
    .option('--thread <thread>', 'a label that readers can filter by')
    .option('--ttl <duration>', 'give up after so long (30d)')
    .addOption(
      new Option('--wait <state>', 'return when it has come so far').choices([
        'accepted',
        'published',
        'delivered',
      ]),
    )
    .option('--timeout <duration>', 'wait no longer than this')
    .option('--id <id>', 'name the message, so that sending it twice sends it once')
    .action((target: string, text: string | undefined, options: SendOptions, command: Command) =>
      run(command, (invocation) => send(invocation, target, text, options)),
    );
  withExamples(
    command,
    'mesh send pi hello',
    'df -h | mesh send all --type text/plain',
    'mesh send @phones "dinner is ready"',
    'mesh send pi "good night" --wait delivered --timeout 30s',
  );
}

async function send(
  invocation: Invocation,
  target: string,
  text: string | undefined,
  { type, thread, ttl, wait, timeout, id }: SendOptions,
): Promise<ExitStatus> {
  const params: JsonObject = {
    target,
    ...(text === undefined || text === '-' ? { data: await stdin() } : { text }),
    type,
    thread,
    ttl: ttl === undefined ? undefined : duration(ttl),
    wait,
    timeout: timeout === undefined ? undefined : duration(timeout),
  };
  // With an id from the start: where the daemon ends in the middle, asking the next one again is harmless.
  let named = id;
  const result = await withMesh(invocation, (link) => {
    named ??= link.freshId;
    return link.call('send', { ...params, id: named });
  });
  return report(invocation, result);
}

async function stdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString('base64');
}

const NOT_SYNCHRONISED =
  'this device has not heard for long from any member, and has to before it sends; one that is online does';

async function report({ out }: Invocation, result: Json): Promise<ExitStatus> {
  if (!isObject(result)) throw new Error('send was answered with something else');
  const { id, to, wanted, standing, asked, brokerError, notSynchronised } = result;
  const deliveries = Array.isArray(to) ? to.filter(isObject) : [];
  await out.say(
    { event: 'sent', id, to },
    `${id} ${[...new Set(deliveries.map((one) => String(one.state)))].join(', ')}`,
  );
  if (standing === 'reached') return ExitStatus.done;
  if (standing === 'failed') {
    const done = new Set(['accepted', 'published', 'delivered']);
    const lost = deliveries.filter((one) => !done.has(String(one.state)));
    throw new MeshError('delivery-failed', { count: lost.length });
  }
  const refusal = readRefusal(brokerError);
  if (asked === true) throw refusal ?? new MeshError('delivery-open', { wanted: String(wanted) });
  const unready = notSynchronised === true ? NOT_SYNCHRONISED : 'the broker has not taken it yet';
  const why = refusal === undefined ? unready : refusal.message;
  out.note(`the message is accepted and waits here: ${why}`);
  return ExitStatus.done;
}

/** Why the broker will not have us, where that is so. */
function readRefusal(value: Json | undefined): MeshError | undefined {
  if (!isObject(value) || typeof value.code !== 'string') return undefined;
  const code = Object.keys(explanations).find((known) => known === value.code);
  if (code === undefined || !isObject(value.data)) return undefined;
  const data: Record<string, string> = {};
  for (const [name, item] of Object.entries(value.data)) data[name] = String(item);
  return new MeshError(code as keyof typeof explanations, data);
}
