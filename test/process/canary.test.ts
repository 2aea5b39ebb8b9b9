/**
 * Every secret of a whole session is a canary, and is looked for afterwards in all that anybody could see: what
 * the commands printed, what the daemon logged at its most talkative, the arguments and environments of all
 * processes while it lasted, and what a command that was run for a message got to see.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { decodeInviteLink } from '../../src/entities/pairing/link.ts';
import { eventually } from '../brokers/loopback.ts';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, MeshProcess, type RunOptions } from './mesh-process.ts';
import { installed, shell } from './shell.ts';

const canary = (): string => `canary${randomBytes(9).toString('hex')}`;

/** A command that takes or shows another secret adds its canary here, and its step to the session. */
const secrets = {
  passphrase: canary(),
  secondPassphrase: canary(),
  wrongPassphrase: canary(),
  brokerPassword: canary(),
  wrongBrokerPassword: canary(),
  payload: canary(),
};
/** The person put these into arguments, where the system shows them; the program must not spread them. */
const typed = { passwordInUrl: canary(), passwordAsArgument: canary() };

/** A secret as it is, and in the disguises in which programs print bytes. */
function formsOf(secret: string | Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(secret);
  const forms = [bytes, Buffer.from(encodeURIComponent(bytes.toString('latin1')))];
  for (const text of [bytes.toString('hex'), bytes.toString('hex').toUpperCase(), [...bytes].join(',')]) {
    forms.push(Buffer.from(text));
  }
  for (let shift = 0; shift < 3; shift++) {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const inner = whole.slice(shift === 0 ? 0 : shift + 1, -2);
    forms.push(Buffer.from(inner), Buffer.from(inner.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return forms;
}

type Named = readonly (readonly [name: string, secret: string | Uint8Array])[];
const foundIn = (seen: string | Buffer, named: Named): string[] => {
  const bytes = Buffer.from(seen);
  return named
    .filter(([, secret]) => formsOf(secret).some((form) => bytes.includes(form)))
    .map(([name]) => name);
};

/** Arguments and environments of everything that runs, again and again. */
function watchProcesses(): { readonly seen: Map<string, Buffer>; readonly stop: () => Promise<void> } {
  const seen = new Map<string, Buffer>();
  let over = false;
  const look = async (): Promise<void> => {
    while (!over) {
      for (const pid of await readdir('/proc')) {
        if (!/^\d+$/.test(pid)) continue;
        for (const part of ['cmdline', 'environ']) {
          // It may have ended, or be somebody else's.
          const bytes = await readFile(`/proc/${pid}/${part}`).catch(() => undefined);
          if (bytes !== undefined && bytes.length > 0) seen.set(`${part} ${bytes.toString('latin1')}`, bytes);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const looking = look();
  return {
    seen,
    stop() {
      over = true;
      return looking;
    },
  };
}

let base: string;
let running: MeshProcess[] = [];
/** All that any command has printed. */
let printed: string[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  printed = [];
});
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop('SIGKILL')));
  running = [];
  await rm(base, { recursive: true, force: true });
});

const at = (name: string): string => join(base, name);
async function secretFile(name: string, text: string): Promise<string> {
  await writeFile(at(name), `${text}\n`, { mode: 0o600 });
  return at(name);
}
async function run(
  status: number | undefined,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const ended = await new MeshProcess([...args, '-v'], options).ended();
  printed.push(ended.stdout, ended.stderr);
  if (status !== undefined)
    expect(ended.status, `mesh ${args[0]} ${ended.stdout} ${ended.stderr}`).toBe(status);
  return ended.stdout;
}
async function daemonOf(args: readonly string[]): Promise<MeshProcess> {
  const daemon = new MeshProcess(['up', '--json', '-v', ...args]);
  running.push(daemon);
  await daemon.saw('ready');
  await daemon.saw('connected');
  return daemon;
}
async function stopped(daemon: MeshProcess): Promise<string> {
  const { status, stdout, stderr } = await daemon.stop();
  expect(status).toBe(0);
  printed.push(stdout, stderr);
  return stderr;
}

it('the search finds a secret in each disguise', () => {
  const key = randomBytes(32);
  const named: Named = [['key', key]];
  for (const before of ['', 'x', 'xy']) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      const text = Buffer.concat([Buffer.from(before), key, Buffer.from('more')]).toString(encoding);
      expect(foundIn(`noise ${text} noise`, named)).toEqual(['key']);
    }
  }
  expect(foundIn(JSON.stringify({ key: [...key] }), named)).toEqual(['key']);
  expect(foundIn(randomBytes(1000).toString('hex'), named)).toEqual([]);
});

it.skipIf(!hasMosquitto || !existsSync('/proc/self/environ'))(
  `no secret of a session is in any output, log, argument or environment${hasMosquitto ? '' : `: ${withoutMosquitto}`}`,
  async () => {
    const broker = await startMosquitto({ logins: { alice: secrets.brokerPassword } });
    const processes = watchProcesses();
    try {
      const login = { user: 'alice', password: secrets.brokerPassword };
      const [laptop, pi] = await makeMesh({ count: 2, dir: base, brokerUrl: broker.url, login });
      if (laptop === undefined || pi === undefined) throw new Error('two were asked for');
      const keys: Named = [
        ['key file of the laptop', await readFile(laptop.keyFile)],
        ['key file of the Pi', await readFile(pi.keyFile)],
      ];

      await makingADevice(broker.url);
      const invited = await inviting(laptop);
      const { log, child } = await talking(laptop, pi);
      await mistakes(laptop);

      await processes.stop();
      const all: Named = [...Object.entries(secrets), ...Object.entries(typed), ...keys, ...invited];
      const notPrinted = all.filter(([name]) => name !== 'payload');
      expect(foundIn(printed.join('\n'), notPrinted)).toEqual([]);
      expect(log).toMatch(/"level":"debug"/);
      expect(foundIn(log, all)).toEqual([]);
      expect(foundIn(child, all)).toEqual([]);
      const visible = Buffer.concat([...processes.seen.values()]);
      // It did look at the right ones.
      for (const process of [laptop.home, 'MESH_PASSPHRASE_FILE', 'MESH_THREAD']) {
        expect(visible.includes(process), process).toBe(true);
      }
      expect(foundIn(visible, [...Object.entries(secrets), ...keys, ...invited])).toEqual([]);
      // And listening does show what was sent, so what is said was looked at.
      expect(foundIn(printed.join('\n'), all)).toEqual(['payload']);
    } finally {
      await processes.stop();
      await broker.stop();
    }
  },
  120_000,
);

/** The link is shown by the one command that makes it; it holds the broker's login, because that was asked for. */
async function inviting(laptop: MeshDevice): Promise<Named> {
  const daemon = await daemonOf(as(laptop));
  const invite = new MeshProcess(['invite', '--share-broker-login', ...as(laptop), '-v']);
  running.push(invite);
  const link = String((await invite.saw('invite')).link);
  const newcomer = ['--home', at('shed'), '--key-file', at('shed.key'), '--json'];
  const join = new MeshProcess(['join', '-', '--yes', '--name', 'shed', ...newcomer, '-v'], { input: link });
  running.push(join);
  const { code } = await join.saw('code');
  await invite.saw('claimed');
  await run(0, ['approve', '--code', String(code), ...as(laptop)]);
  const joined = await join.ended();
  expect(joined.status).toBe(0);
  printed.push(joined.stdout, joined.stderr, (await invite.ended()).stderr);
  await run(7, ['join', '-', '--yes', ...newcomer], { input: link });
  await stopped(daemon);
  const read = decodeInviteLink(nodePrimitives.hash, link);
  if ('refused' in read) throw new Error(`a link that is refused as ${read.refused}`);
  return [
    ['link', link.slice(link.indexOf('#') + 1)],
    ['secret of the link', read.ok.secret.expose()],
  ];
}

async function makingADevice(url: string): Promise<void> {
  const passphrase = await secretFile('passphrase', secrets.passphrase);
  const password = await secretFile('password', secrets.brokerPassword);
  const home = ['--home', at('fresh'), '--json'];
  const broker = ['--broker', url, '--broker-user', 'alice', '--broker-password-file', password];
  await run(0, ['init', '--name', 'fresh', ...home, '--passphrase-file', passphrase, ...broker]);
  const unlocked = [...home, '--passphrase-file', passphrase];
  const second = await secretFile('second', secrets.secondPassphrase);
  await run(0, ['key', 'add', 'passphrase', second, ...unlocked]);
  await run(0, ['key', 'remove', '1', ...home, '--passphrase-file', second]);
  await run(3, ['status', ...unlocked]);
  await run(0, ['config', 'get', ...home], { env: { MESH_PASSPHRASE_FILE: second } });
  const wrong = await secretFile('wrong', secrets.wrongPassphrase);
  await run(3, ['status', ...home, '--passphrase-file', wrong]);
  await chmod(wrong, 0o644);
  await run(3, ['status', ...home, '--passphrase-file', wrong]);
}

async function talking(laptop: MeshDevice, pi: MeshDevice): Promise<{ log: string; child: string }> {
  const own = ({ home, keyFile }: MeshDevice): string[] => ['--home', home, '--key-file', keyFile];
  const daemons = [await daemonOf(own(laptop)), await daemonOf(own(pi))] as const;
  const using = ['--json', '--home', laptop.home];
  const input = secrets.payload;
  const waiting = ['--wait', 'delivered', '--timeout', '20s'];
  await run(0, ['send', pi.deviceId, '-', '--thread', 'a', ...waiting, ...using], { input });
  await run(0, ['listen', '--count', '1', '--timeout', '20s', '--json', '--home', pi.home]);
  const bin = await installed(base);
  // Its environment, and the arguments of whoever runs it.
  const command = `{ env; tr '\\0' ' ' < /proc/$PPID/cmdline; } > ${at('child')}; sleep 0.2`;
  const handled = await shell(
    `mesh listen -v --cursor commands --count 1 --timeout 20s --exec "$COMMAND"`,
    pi,
    bin,
    {
      COMMAND: command,
      MESH_PASSPHRASE_FILE: at('passphrase'),
      CREDENTIALS_DIRECTORY: at('credentials'),
    },
  ).ended;
  printed.push(handled.stdout, handled.stderr);
  expect(handled.status, handled.stderr).toBe(0);
  const child = await readFile(at('child'), 'utf8');
  expect(child).not.toMatch(/^MESH_(KEY|PASSPHRASE)_FILE=/m);
  for (const line of [`MESH_HOME=${pi.home}`, `MESH_FROM=${laptop.deviceId}`, 'MESH_THREAD=a']) {
    expect(child.split('\n')).toContain(line);
  }

  await run(0, ['config', 'set', 'broker-password', '-', ...using], { input: secrets.wrongBrokerPassword });
  await daemons[0].saw('disconnected');
  await eventually(
    () => daemons[0].events.some(({ event, permanent }) => event === 'disconnected' && permanent === true),
    'the broker refuses the login',
  );
  await run(0, ['status', ...using]);
  await run(5, ['send', pi.deviceId, '-', '--wait', 'published', ...using], { input });
  await run(undefined, ['doctor', ...using]);
  await run(0, ['config', 'set', 'broker-password', '-', ...using], { input: secrets.brokerPassword });
  await run(0, ['config', 'get', ...using]);
  await run(0, ['outbox', '--all', ...using]);
  await run(0, ['status', ...using]);
  const logs = [await stopped(daemons[0]), await stopped(daemons[1])];
  return { log: logs.join('\n'), child };
}

/** What people type where it does not belong. */
async function mistakes(laptop: MeshDevice): Promise<void> {
  const own = ['--json', '--home', laptop.home, '--key-file', laptop.keyFile];
  const url = `mqtt://alice:${typed.passwordInUrl}@127.0.0.1`;
  await run(2, ['config', 'set', 'broker', url, ...own]);
  await run(2, ['init', '--name', 'x', '--broker', url, '--home', at('nowhere'), '--key-file', at('no-key')]);
  await run(0, ['config', 'set', 'broker-password', typed.passwordAsArgument, ...own]);
  await run(2, ['config', 'set', 'broker-pin', typed.passwordAsArgument, ...own]);
  await run(2, ['config', 'set', 'broker-password', `${typed.passwordAsArgument}\n`, ...own]);
  await run(5, ['send', 'all', '-', '--wait', 'published', ...own], { input: secrets.payload });
}
