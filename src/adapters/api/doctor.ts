/**
 * Looks at everything that has to be right for messages to come and go, one thing after the other, and says of
 * each what to do where it is not. What goes to the broker for that are packets to our own inbox that nobody but
 * the check sees.
 *
 * Long, because it is one list of checks, each a few lines, in the order in which one failure explains the next.
 */
import { concat, equal, toHex } from '../../entities/bytes.ts';
import { MeshError } from '../../entities/errors.ts';
import type { LineState } from '../broker-line.ts';
import type { JsonObject } from '../rpc/protocol.ts';
import type { Method } from '../rpc/server.ts';
import { type Check, failure, fine, wrong } from './check.ts';
import { brokerConduct, memberChecks, type PeopleCheckPorts } from './member-checks.ts';
import type { ApiPorts } from './ports.ts';

/** January 1st, 2024: no clock that is right shows less. */
const EARLIEST = 1_704_067_200_000;
/** How far the clocks of one person's devices may be apart. */
const SKEW = 5 * 60_000;
const CONNECTING = 15_000;
const ECHO = 5_000;
/** How long a session that is taken over needs to hear of it. */
const TAKE_OVER = 500;
/** More than the largest packet: 64 KiB of payload, padded, in an envelope, and an inventory beside it. */
const LARGE = 150 * 1024;
/** More than one: a queue that holds one message passes for a queue otherwise. */
const QUEUED = 8;
const MARKER_BYTES = 16;

/** No envelope begins like this, so what comes too late is refused like any other unknown version. */
const NO_ENVELOPE = Uint8Array.of(0);

export interface CheckPorts
  extends PeopleCheckPorts,
    Pick<ApiPorts, 'checkup' | 'keystore' | 'line' | 'online' | 'randomness'> {
  readonly membership: () => ReturnType<PeopleCheckPorts['membership']> & {
    readonly log: ReadonlyMap<unknown, { readonly createdAt: number }>;
  };
}

/** Tells of each check as it ends; the answer is all of them. */
export function doctorMethod(ports: CheckPorts): Method {
  return async (_params, caller) => {
    const all: JsonObject[] = [];
    for await (const check of examine(ports)) {
      const line: JsonObject = { ...check };
      all.push(line);
      caller.notify('check', line);
    }
    return all;
  };
}

export async function* examine(ports: CheckPorts): AsyncGenerator<Check> {
  yield await storeCheck(ports);
  yield await filesCheck(ports);
  yield clockCheck(ports);
  const login = await loginCheck(ports);
  yield login;
  const offline = (check: string): Check =>
    wrong(check, 'not looked at: there is no connection to the broker', 'see the broker login');
  yield login.ok ? await echoCheck(ports) : offline('publish-subscribe');
  yield login.ok ? await queueCheck(ports) : offline('offline-queue');
  yield login.ok ? await sizeCheck(ports) : offline('packet-limit');
  yield* memberChecks(ports);
  yield* brokerConduct(ports);
}

async function storeCheck({ keystore }: CheckPorts): Promise<Check> {
  try {
    let records = 0;
    for (const key of keystore.keys('entry')) {
      await keystore.read('entry', key);
      records += 1;
    }
    return fine('store', `it is open, and ${records} membership entries can be read`);
  } catch (error) {
    return failure('store', known(error));
  }
}

async function filesCheck({ checkup }: CheckPorts): Promise<Check> {
  try {
    await checkup.files();
    return fine('permissions', 'all files are yours alone');
  } catch (error) {
    return failure('permissions', known(error));
  }
}

/** Nobody out there can be asked for the time; but what has happened lies in the past. */
function clockCheck({ clock, membership }: CheckPorts): Check {
  const now = clock.now();
  const hint = 'set the clock of this device; with NTP it stays right';
  if (now < EARLIEST) return wrong('clock', 'it shows a time before 2024', hint);
  const newest = Math.max(...[...membership().log.values()].map(({ createdAt }) => createdAt));
  if (newest > now + SKEW) {
    const minutes = Math.ceil((newest - now) / 60_000);
    return wrong(
      'clock',
      `it is ${minutes} minutes behind what a member has signed`,
      `${hint}, or that member's`,
    );
  }
  return fine('clock', 'it shows a time that can be right');
}

async function loginCheck({ line, online, clock }: CheckPorts): Promise<Check> {
  await online();
  await lineIs(({ broker, error }) => broker !== undefined || error !== undefined, { line, clock });
  const { broker, error } = line.state();
  if (broker !== undefined) return fine('broker-login', `connected to ${broker}`);
  if (error !== undefined) return failure('broker-login', error);
  return wrong('broker-login', 'no connection within 15 seconds', 'check the network and the address');
}

/** Waits until it is so, but not for ever. */
function lineIs(
  so: (state: LineState) => boolean,
  { line, clock }: Pick<CheckPorts, 'line' | 'clock'>,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop();
      cancel();
      resolve();
    };
    const stop = line.watch((state) => {
      if (so(state)) done();
    });
    const cancel = clock.after(CONNECTING, done);
    if (so(line.state())) done();
  });
}

async function echoCheck(ports: CheckPorts): Promise<Check> {
  const name = 'publish-subscribe';
  const outcome = await echo(ports, 64);
  if (outcome.lost === undefined) {
    return fine(name, `a packet to our own inbox was back after ${Math.round(outcome.took)} ms`);
  }
  const hint =
    'allow this login to publish to and subscribe to the inboxes below the topic prefix, with QoS 1';
  return wrong(name, `a packet to our own inbox did not come back (${outcome.lost})`, hint);
}

async function sizeCheck(ports: CheckPorts): Promise<Check> {
  const name = 'packet-limit';
  const outcome = await echo(ports, LARGE);
  if (outcome.lost === undefined) return fine(name, 'packets of 150 KiB come and go');
  const hint =
    'raise the packet limit of the broker to 200 KiB or more (Mosquitto: message_size_limit, max_packet_size)';
  return wrong(name, `a packet of 150 KiB did not come back (${outcome.lost})`, hint);
}

type Echo = { readonly took: number; readonly lost: undefined } | { readonly lost: string };

async function echo({ line, clock, randomness, self }: CheckPorts, length: number): Promise<Echo> {
  const packet = probePacket(randomness(MARKER_BYTES), length);
  const began = clock.elapsed();
  let back: () => void = () => undefined;
  const came = new Promise<'back'>((resolve) => {
    back = () => resolve('back');
  });
  const stop = line.probe((bytes) => {
    const ours = equal(bytes, packet);
    if (ours) back();
    return ours;
  });
  const patience = timer(clock, ECHO);
  try {
    const outcome = await Promise.race([line.publish(self, packet), patience.over]);
    if (outcome !== 'taken') return { lost: outcome === 'over' ? 'the broker does not answer' : outcome };
    const end = await Promise.race([came, patience.over]);
    if (end === 'over') return { lost: 'the broker took it over, and kept it' };
    return { took: clock.elapsed() - began, lost: undefined };
  } finally {
    patience.cancel();
    stop();
  }
}

/** As another client with our login, that goes away and comes back: what was published meanwhile has to be there. */
async function queueCheck(ports: CheckPorts): Promise<Check> {
  const name = 'offline-queue';
  const { checkup, line, clock, randomness, self } = ports;
  const untold = fine(name, 'not looked at: this broker has one session for each login');
  const hint =
    'let the broker keep messages for clients that are away (Mosquitto: max_queued_messages 1000 or more)';
  if (await checkup.oneSessionPerLogin()) return untold;
  const clientId = `mesh-doctor-${toHex(randomness(6))}`;
  const packets = Array.from({ length: QUEUED }, () => probePacket(randomness(MARKER_BYTES), 64));
  const isOurs = (bytes: Uint8Array): boolean => packets.some((packet) => equal(bytes, packet));
  const stopProbe = line.probe(isOurs);
  let takenOver = false;
  const stopWatch = line.watch(({ broker }) => {
    if (broker === undefined) takenOver = true;
  });
  try {
    const first = await visit(ports, clientId, async () => timer(clock, TAKE_OVER).over);
    if (takenOver) {
      await line.renew();
      await lineIs(({ broker }) => broker !== undefined, ports);
      return untold;
    }
    if ('error' in first) return failure(name, first.error);
    for (const packet of packets) {
      const outcome = await line.publish(self, packet);
      if (outcome !== 'taken')
        return wrong(name, `a packet to our own inbox was not taken (${outcome})`, hint);
    }
    const arrived: Uint8Array[] = [];
    const second = await visit(
      ports,
      clientId,
      async (enough) => void (await Promise.race([enough, timer(clock, ECHO).over])),
      (bytes, enough) => {
        if (isOurs(bytes)) arrived.push(bytes);
        if (arrived.length >= QUEUED) enough();
      },
    );
    if ('error' in second) return failure(name, second.error);
    if (!second.resumed) return wrong(name, 'the broker had forgotten our session after a moment', hint);
    if (arrived.length < QUEUED) {
      return wrong(name, `of ${QUEUED} packets for a client that was away it kept ${arrived.length}`, hint);
    }
    return fine(name, 'the broker keeps packets for a client that is away');
  } catch (error) {
    return failure(name, known(error));
  } finally {
    stopWatch();
    stopProbe();
    if (!takenOver)
      await visit(ports, clientId, async () => undefined, undefined, true).catch(() => undefined);
  }
}

/** Connects, does something, and leaves again. */
async function visit(
  { checkup, clock }: CheckPorts,
  clientId: string,
  work: (enough: Promise<void>) => Promise<unknown>,
  packet: (bytes: Uint8Array, enough: () => void) => void = () => undefined,
  clean = false,
): Promise<{ readonly resumed: boolean } | { readonly error: MeshError }> {
  const client = await checkup.secondClient(clientId, clean);
  let enough: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const patience = timer(clock, CONNECTING);
  try {
    const connected = new Promise<{ readonly resumed: boolean } | { readonly error: MeshError }>(
      (resolve) => {
        client.open({
          packet: (bytes) => packet(bytes, enough),
          connected: ({ resumed }) => resolve({ resumed }),
          disconnected: ({ error }) => resolve({ error }),
        });
      },
    );
    const greeting = await Promise.race([connected, patience.over]);
    if (greeting === 'over') return { error: new MeshError('broker-silent', { broker: 'that is set' }) };
    if ('resumed' in greeting) await work(done);
    return greeting;
  } finally {
    patience.cancel();
    await client.close();
  }
}

function probePacket(marker: Uint8Array, length: number): Uint8Array {
  const head = concat(NO_ENVELOPE, marker);
  return concat(head, new Uint8Array(Math.max(0, length - head.length)));
}

function timer(
  clock: CheckPorts['clock'],
  delay: number,
): { readonly over: Promise<'over'>; readonly cancel: () => void } {
  let cancel: () => void = () => undefined;
  const over = new Promise<'over'>((resolve) => {
    cancel = clock.after(delay, () => resolve('over'));
  });
  return { over, cancel: () => cancel() };
}

/** A bug is none of the things that are looked for. */
function known(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  throw error;
}
