/** `mesh up`: one device, running until it is told to stop. */
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { ExitStatus, MeshError } from '../../entities/errors.ts';
import type { ComposeOptions } from './compose.ts';
import { announcement } from './embedded.ts';
import { type Host, type HostOptions, openHost } from './host.ts';
import type { Log } from './log.ts';
import { createNotifier } from './notify.ts';

/** A stop is promised within two seconds: what is not done by then is made good at the next start. */
const STOP_LIMIT = 1800;

export interface DaemonOptions extends Pick<ComposeOptions, 'home' | 'unlock' | 'embeddedBroker'> {
  readonly log: Log;
  /** Says to people and scripts what happens. */
  readonly tell: (event: JsonObject) => void;
  /** Opens the store, waiting for whoever has it. */
  readonly obtain: (open: () => Promise<Host>) => Promise<Host>;
}

/** Resolves with what the process shall end with. Throws what kept the daemon from starting. */
export async function runDaemon({
  home,
  unlock,
  embeddedBroker,
  log,
  tell,
  obtain,
}: DaemonOptions): Promise<ExitStatus> {
  let end: (outcome: ExitStatus | MeshError) => void = () => undefined;
  const ended = new Promise<ExitStatus | MeshError>((resolve) => {
    end = resolve;
  });
  const notifier = createNotifier(process.env, process.pid);
  let broken = false;
  const fatal = (error: unknown): void => {
    broken = true;
    const known = asMeshError(error);
    log.error({ code: known.code, stack: stackOf(error) }, known.message);
    end(known);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    end(ExitStatus.done);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const options: HostOptions = { home, unlock, host: 'daemon', embeddedBroker, fatal, bug: fatal };
  // A signal during the start has to wait for it: it takes less than what a stop may take.
  const { device, release } = await obtain(() => openHost(options));
  const broker = device.embeddedBroker?.ownUrl ?? (await device.settings.get('broker'));
  if (broker === undefined) {
    await release(0);
    throw new MeshError('broker-url-missing');
  }
  let wasConnected = false;
  device.line.watch(({ broker, error, permanent }) => {
    if (broker !== undefined) {
      wasConnected = true;
      log.info({ broker }, 'connected');
      tell({ event: 'connected', broker });
      notifier.status(`connected to ${broker}`);
      return;
    }
    if (error === undefined) return;
    log.warn({ code: error.code, permanent }, error.message);
    tell({ event: 'disconnected', code: error.code, message: error.message, hint: error.hint, permanent });
    notifier.status(error.message);
    // A broker that never wanted us will not want us tomorrow; one that did may come round.
    if (permanent && !wasConnected) end(error);
  });
  device.messenger.listen((news) => {
    if (news.kind !== 'incident') return;
    const { what, device: about, count } = news.incident;
    log.warn({ what, device: about, count }, 'incident');
    tell({ event: 'incident', what, deviceId: about, count });
  });
  const members = device.membership().roster.members.size;
  log.info({ device: device.deviceId, members }, 'ready');
  const { embeddedBroker: embedded } = device;
  tell({
    event: 'ready',
    deviceId: device.deviceId,
    broker,
    members,
    ...(embedded === undefined ? {} : { embeddedBroker: announcement(embedded) }),
  });
  notifier.ready();
  device.goOnline();

  const outcome = await ended;
  notifier.stopping();
  if (broken) device.abandon();
  else await Promise.race([release(STOP_LIMIT / 2), afterLimit()]);
  if (outcome instanceof MeshError) throw outcome;
  log.info({}, 'stopped');
  return outcome;
}

/** Keeps the process alive while it waits, unlike the clock's timers. */
const afterLimit = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, STOP_LIMIT);
  });

export function asMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new MeshError('bug', { detail }, error);
}

const stackOf = (error: unknown): string | undefined =>
  error instanceof MeshError ? undefined : error instanceof Error ? error.stack : undefined;
