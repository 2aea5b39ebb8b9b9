/** `npm start`: from a machine that has nothing but this program to a device that the next one can join. */
import type { Command } from 'commander';
import { isObject, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import { ExitStatus, MeshError } from '../../../entities/errors.ts';
import type { EmbeddedAddress } from '../../daemon/embedded.ts';
import type { Host } from '../../daemon/host.ts';
import { exists, homeAt } from '../../node/home.ts';
import type { Run } from '../command.ts';
import { describeEmbedded, embeddedAddress, type Ways } from '../embedded-address.ts';
import { withExamples } from '../examples.ts';
import { awaitCompany, type FirstCompany } from '../first-company.ts';
import { hostDeviceName } from '../host-name.ts';
import { watchInterruption } from '../interruption.ts';
import type { Invocation } from '../invocation.ts';
import { isTerminal } from '../prompt.ts';
import { tellOfKeyFile } from './init.ts';

interface StartOptions {
  readonly local?: true;
  readonly port?: string;
}

const OPEN = { host: '0.0.0.0', port: 8883 } as const;
const LOCAL = { host: '127.0.0.1', port: 1883 } as const;
const WAYS: Ways = { open: 'mesh start', close: 'mesh start --local' };

const MORE = `
Makes the device where there is none, named after the machine, with a key file
at the usual place. Then it is "mesh up" with an embedded broker on
${OPEN.host}:${OPEN.port}, or without one where a broker is set ("mesh config set broker",
or by having joined elsewhere).

While nobody else is in the mesh it invites: an invite lives ten minutes, and at
a terminal Enter makes the next one. Without a terminal it invites once, prints
the link, and "mesh approve --code" lets the device in. Later, and for every
further device, it is "mesh invite" in another terminal.`;

export function defineStart(program: Command, run: Run): void {
  const command = program
    .command('start')
    .description('all that a first device needs: make it, run the daemon and a broker, invite the second one')
    .option('--local', `keep the embedded broker to this machine, on ${LOCAL.host}:${LOCAL.port}`)
    .option('--port <port>', 'another port for it')
    .addHelpText('after', MORE)
    .action((options: StartOptions, command: Command) =>
      run(command, (invocation) => start(invocation, options)),
    );
  withExamples(command, 'mesh start', 'mesh start --local', 'mesh start --port 8884', 'mesh start --json');
}

/** Nobody is to be told anything: the person has ended it before there was a daemon. */
const ENDED_EARLY = Symbol('ended early');

async function start(invocation: Invocation, options: StartOptions): Promise<ExitStatus> {
  // A terminal that closes ends what runs in it, but for those who took it out of there, with nohup for example.
  const address = chooseAddress(options);
  const interruption = watchInterruption(['SIGINT', 'SIGTERM', ...(isTerminal() ? ['SIGHUP' as const] : [])]);
  try {
    if (!(await exists(homeAt(invocation.home).header))) await makeDevice(invocation);
    return await run(invocation, address, interruption.came).catch(async (error: unknown) => {
      if (!(error instanceof MeshError) || error.code !== 'store-unfinished') throw error;
      await makeDevice(invocation);
      return run(invocation, address, interruption.came);
    });
  } catch (error) {
    if (error === ENDED_EARLY) return ExitStatus.done;
    throw error;
  } finally {
    interruption.stop();
  }
}

function chooseAddress({ local, port }: StartOptions): EmbeddedAddress {
  const address = local === true ? LOCAL : OPEN;
  return port === undefined ? address : embeddedAddress(`${address.host}:${port}`);
}

async function makeDevice(invocation: Invocation): Promise<void> {
  const { initialise } = await import('../initialise.ts');
  const { withoutQuestions } = await import('../unlocking.ts');
  const { home, out } = invocation;
  const { deviceId, fingerprint, name, keyFile } = await initialise(
    withoutQuestions(invocation),
    hostDeviceName(),
    {},
  );
  await out.say(
    {
      event: 'initialised',
      deviceId,
      fingerprint,
      name,
      home,
      ...(keyFile === undefined ? {} : { keyFile }),
    },
    `made this device: "${name}", in ${home}; "mesh rename" gives it another name`,
  );
  tellOfKeyFile(invocation, keyFile);
}

async function run(
  invocation: Invocation,
  address: EmbeddedAddress,
  interrupted: Promise<'interrupted'>,
): Promise<ExitStatus> {
  const { home, out, options } = invocation;
  const { findUnlockSecret } = await import('../unlocking.ts');
  const unlock = await findUnlockSecret(invocation);
  const { createLog } = await import('../../daemon/log.ts');
  const { runDaemon } = await import('../../daemon/daemon.ts');
  const { takeStore } = await import('../take-store.ts');
  const { stderr } = process;
  // A person has the code to scan in front of them; for a log file the whole course is of use.
  const usual = stderr.isTTY === true ? 'warn' : 'info';
  const level = options.quiet === true ? 'error' : options.verbose === true ? 'debug' : usual;
  let quit: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    quit = resolve;
    void interrupted.then(() => resolve());
  });
  let company: FirstCompany | undefined;

  /** Before there is a daemon a signal has nothing to put in order, and need not wait for whoever has the store. */
  async function obtain(open: () => Promise<Host>): Promise<Host> {
    let isOver = false;
    let opening: Promise<Host> | undefined;
    const taken = takeStore(home, () => {
      if (isOver) throw ENDED_EARLY;
      opening = open();
      return opening;
    });
    const early = stopped.then(() => {
      isOver = true;
      if (opening === undefined) throw ENDED_EARLY;
      return opening.catch(() => {
        throw ENDED_EARLY;
      });
    });
    const host = await Promise.race([taken, early]);
    return {
      ...host,
      async release(patience) {
        // The invite ends while there is somebody who can end it.
        await company?.end();
        await host.release(patience);
      },
    };
  }

  function tell(event: JsonObject): void {
    if (event.event === 'ready') {
      // Nobody may be reading: the daemon goes on all the same.
      out.say(event, describe(event)).catch(() => undefined);
      company = event.members === 1 ? awaitCompany({ invocation, quit }) : undefined;
      return;
    }
    out.say(event).catch(() => undefined);
    if (event.event === 'membership' && event.status === 'member') company?.arrived();
  }

  return runDaemon({
    home,
    unlock,
    embeddedBroker: address,
    // Whoever asks for the broker of this machine in so many words is told why there is none.
    embeddedIfNone: address.host !== LOCAL.host,
    stopped,
    log: createLog(level, { isTerminal: stderr.isTTY === true, write: (line) => void stderr.write(line) }),
    tell,
    obtain,
  });
}

function describe({ deviceId, broker, members, embeddedBroker }: JsonObject): string {
  const lines = [`device ${deviceId} is up, ${members} in the mesh, broker ${broker}`];
  if (isObject(embeddedBroker)) lines.push(describeEmbedded(embeddedBroker, WAYS));
  if (members === 1) {
    const isHere = isObject(embeddedBroker) && embeddedBroker.tls !== true;
    lines.push(
      isHere
        ? 'nobody else is in this mesh yet; for a second device on this machine, in another terminal, call'
        : 'nobody else is in this mesh yet; on the other machine, where this program is too, call',
      `"npx mesh join -${isHere ? ' --home DIRECTORY' : ''}" and paste the link; type the code that it shows here, and it is in`,
    );
  } else lines.push('"mesh invite" in another terminal brings in one more; Ctrl-C ends the daemon');
  return lines.join('\n');
}
