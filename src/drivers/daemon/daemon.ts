/** `mesh up`: one device, running until it is told to stop. */
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { toHex } from '../../entities/bytes.ts';
import { ExitStatus, MeshError } from '../../entities/errors.ts';
import type { LogChange } from '../../usecases/membership/mesh-log.ts';
import type { ComposeOptions } from './compose.ts';
import { announcement } from './embedded.ts';
import { bidFarewell } from './farewell.ts';
import { type Host, type HostOptions, openHost } from './host.ts';
import type { Log } from './log.ts';
import { createNotifier } from './notify.ts';

/** A stop is promised within two seconds: what is not done by then is made good at the next start. */
const STOP_LIMIT = 1800;

export interface DaemonOptions extends Pick<ComposeOptions, 'home' | 'unlock' | 'embeddedBroker'> {
  readonly log: Log;
  /** The embedded broker is for where no other one is set, and nothing is said where one is. */
  readonly embeddedIfNone?: boolean;
  /** Ends the daemon as a signal would. */
  readonly stopped?: Promise<unknown>;
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
  embeddedIfNone = false,
  stopped,
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
  void stopped?.then(() => end(ExitStatus.done));
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const options: HostOptions = { home, unlock, host: 'daemon', embeddedBroker, fatal, bug: fatal };
  for (;;) {
    // A signal during the start has to wait for it: it takes less than what a stop may take.
    const host = await obtain(() => openHost(options));
    const outcome = await serve(host);
    notifier.status('stopping');
    if (broken) host.device.abandon();
    else await Promise.race([host.release(STOP_LIMIT / 2), afterLimit()]);
    if (outcome === 'outdated') {
      log.info({}, 'beginning anew');
      continue;
    }
    notifier.stopping();
    if (outcome instanceof MeshError) throw outcome;
    log.info({}, 'stopped');
    return outcome;
  }

  /** Until it has to end, or to begin anew. */
  async function serve({ device, release, retirement }: Host): Promise<ExitStatus | MeshError | 'outdated'> {
    const { embeddedBroker: embedded, messenger } = device;
    const broker = embedded?.ownUrl ?? (await device.settings.get('broker'));
    if (broker === undefined) {
      await release(0);
      throw new MeshError('broker-url-missing');
    }
    if (embeddedBroker !== undefined && embedded === undefined && !embeddedIfNone) {
      log.warn(
        { broker },
        'a broker is set, so the embedded one is not started; see "mesh config get broker"',
      );
    }
    let wasConnected = false;
    device.line.watch(({ broker: connected, error, permanent }) => {
      if (connected !== undefined) {
        wasConnected = true;
        log.info({ broker: connected }, 'connected');
        tell({ event: 'connected', broker: connected });
        notifier.status(`connected to ${connected}`);
        return;
      }
      if (error === undefined) return;
      log.warn({ code: error.code, permanent }, error.message);
      tell({ event: 'disconnected', code: error.code, message: error.message, hint: error.hint, permanent });
      notifier.status(error.message);
      // A broker that never wanted us will not want us tomorrow; one that did may come round.
      if (permanent && !wasConnected) end(error);
    });
    const removed = new Promise<MeshError>((resolve) => {
      const seeOff = (): void => {
        log.warn({}, 'this device was removed from the mesh; telling the others');
        void bidFarewell(messenger, device.deviceId).then(() => resolve(new MeshError('device-revoked')));
      };
      if (messenger.farewell.standing() === 'removed') seeOff();
      messenger.listen((news) => {
        if (news.kind === 'removed' && news.how === 'removed') seeOff();
        else if (news.kind === 'incident') {
          const { what, device: about, count } = news.incident;
          log.warn({ what, device: about, count }, 'incident');
          tell({ event: 'incident', what, deviceId: about, count });
        } else if (news.kind === 'membership') tellMembers(news.change);
        else if (news.kind === 'received') log.debug({ device: news.from, batch: news.batch }, 'received');
        else if (news.kind === 'delivery') log.debug({ device: news.device, id: toHex(news.id) }, 'delivery');
        else if (news.kind === 'alive') log.debug({ device: news.device }, 'sign of life');
      });
    });
    const members = device.membership().roster.members.size;
    log.info({ device: device.deviceId, members }, 'ready');
    tell({
      event: 'ready',
      deviceId: device.deviceId,
      broker,
      members,
      ...(embedded === undefined ? {} : { embeddedBroker: announcement(embedded) }),
    });
    notifier.ready();
    device.goOnline();
    return Promise.race([
      ended,
      removed,
      device.outdated.then(() => 'outdated' as const),
      retirement.then(() => ExitStatus.done),
    ]);
  }

  function tellMembers({ before, now }: LogChange): void {
    for (const { id, name, status } of now.devices.values()) {
      const was = before.devices.get(id)?.status;
      if (was === status) continue;
      log.info({ device: id, status }, 'membership');
      const shown = status === 'removed' ? 'revoked' : status;
      tell({ event: 'membership', deviceId: id, name: name ?? id, status: shown });
    }
  }
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
