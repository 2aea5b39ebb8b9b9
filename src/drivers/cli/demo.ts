/**
 * `mesh demo`: what a person would do at two machines, done on one, with the program itself. Every step is a process
 * of its own, and all of it lies in one directory that goes away again, however this ends.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../adapters/rpc/protocol.ts';
import { MeshError } from '../../entities/errors.ts';
import { type Cast, createCast, type Player } from './demo-cast.ts';
import { watchInterruption } from './interruption.ts';
import type { Invocation } from './invocation.ts';

interface Device {
  readonly name: string;
  /** The options with which a command finds it. */
  readonly options: readonly string[];
}

type Narrate = (step: string, text: string, facts?: JsonObject) => Promise<void>;

export async function runDemo({ out }: Invocation): Promise<void> {
  const began = performance.now();
  const interruption = watchInterruption();
  const base = await mkdtemp(join(tmpdir(), 'mesh-demo-'));
  const cast = createCast();
  const narrate: Narrate = (step, text, facts = {}) => out.say({ event: 'step', step, text, ...facts }, text);
  try {
    const played = await Promise.race([play(base, cast, narrate), interruption.came]);
    if (played === 'interrupted') throw new MeshError('demo-failed', { detail: 'it was interrupted' });
  } finally {
    await cast.dismiss();
    await rm(base, { recursive: true, force: true, maxRetries: 5 });
    interruption.stop();
  }
  const ms = Math.round(performance.now() - began);
  await out.say({ event: 'done', ms }, `That was it, in ${(ms / 1000).toFixed(1)} s. Nothing of it is left.`);
}

async function play(base: string, cast: Cast, narrate: Narrate): Promise<void> {
  const device = (name: string): Device => {
    const home = join(base, name);
    return { name, options: ['--json', '--home', home, '--key-file', `${home}.key`] };
  };
  const [laptop, phone] = [device('laptop'), device('phone')];
  const start = (words: readonly string[], { options }: Device, input?: string): Player =>
    cast.start([...words, ...options], input);
  const once = (words: readonly string[], of: Device): Promise<JsonObject> => start(words, of).succeeds();

  await narrate('begin', `Two devices on this machine, in ${base}, which goes away at the end.`);
  await once(['init', '--name', laptop.name], laptop);
  const laptopDaemon = start(['up', '--embedded-broker', '127.0.0.1:0'], laptop);
  const { broker } = await laptopDaemon.says('ready');
  await narrate('laptop', `The laptop is made and runs, alone; its own broker is at ${broker}.`, { broker });

  const invite = start(['invite'], laptop);
  const { link } = await invite.says('invite');
  await narrate(
    'invite',
    'The laptop invites: a link, which a person pastes or scans. The demo hands it over.',
  );
  const joining = start(['join', '-', '--yes', '--name', phone.name], phone, String(link));
  const { code } = await joining.says('code');
  await invite.says('claimed');
  await narrate('code', `The phone has read it, asks to join, and shows the code ${code}.`, { code });
  await narrate(
    'approve',
    'A person types that code at the laptop, and nobody joins without. The demo types it.',
  );
  await once(['approve', '--code', String(code)], laptop);
  await joining.succeeds();
  await invite.succeeds();
  const phoneDaemon = start(['up'], phone);
  await phoneDaemon.says('connected');
  await narrate('joined', 'The phone is a member now, and its daemon runs too.');

  for (const [from, to, text] of [
    [laptop, phone, 'Hello, phone!'],
    [phone, laptop, 'Hello, laptop!'],
  ] as const) {
    await once(['send', to.name, text, '--wait', 'delivered', '--timeout', '20s'], from);
    const heard = await once(['listen', '--count', '1', '--timeout', '20s'], to);
    expectEqual(heard.text, text, `what the ${to.name} heard`);
    await narrate('message', `The ${from.name} sends "${text}", and the ${to.name} has it.`, {
      from: from.name,
      to: to.name,
      received: heard.text,
    });
  }

  await narrate('revoke', 'Now the phone is lost, and the laptop removes it.');
  await once(['revoke', phone.name, '--reason', 'lost', '--yes', '--wait', '--timeout', '20s'], laptop);
  const told = await phoneDaemon.fails();
  expectEqual(told.code, 'device-revoked', 'how the daemon of the phone ended');
  await narrate('told', 'The phone has been told why, and its daemon has ended.', { code: told.code });
  const said = await start(['send', laptop.name, 'Still there?'], phone).fails();
  expectEqual(said.code, 'device-revoked', 'what the phone could still send');
  await narrate('out', `What the phone still tries is refused: "${said.message}".`, { code: said.code });
  const addressed = await start(['send', phone.name, 'a secret'], laptop).fails();
  await narrate('closed', `And the laptop sends it nothing any more: "${addressed.message}".`, {
    code: addressed.code,
  });
}

function expectEqual(found: Json | undefined, wanted: string, what: string): void {
  if (found === wanted) return;
  throw new MeshError('demo-failed', { detail: `${what}: ${String(found)} and not ${wanted}` });
}
