/** The way into another mesh: one transport to the broker of the link, with the login that the link leads to. */
import type { JoinEvent, JoinOptions } from '../../adapters/api/ports.ts';
import type { DeviceName } from '../../entities/device-name.ts';
import { type ErrorCode, MeshError } from '../../entities/errors.ts';
import type { MeshId } from '../../entities/mesh-id.ts';
import { inviteLogin } from '../../entities/pairing/keys.ts';
import type { InviteLink } from '../../entities/pairing/link.ts';
import { Secret } from '../../entities/secret.ts';
import { fromUtf8, utf8 } from '../../entities/text.ts';
import type { LoadedDevice } from '../../usecases/device/load-device.ts';
import {
  createJoining,
  type Joining,
  type JoinRefusal,
  type JoinResult,
  type JoinEvent as PairingEvent,
  type PendingJoin,
} from '../../usecases/pairing/joining.ts';
import type { Engine } from '../../usecases/ports/engine.ts';
import type { Keystore } from '../../usecases/ports/keystore.ts';
import type { Transport } from '../../usecases/ports/transport.ts';
import type { MqttSettings } from '../mqtt/settings.ts';
import { nodeClock } from '../node/clock.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';

export interface JoinParts {
  readonly engine: Engine;
  readonly keystore: Keystore;
  readonly device: LoadedDevice;
  readonly connect: (settings: Omit<MqttSettings, 'clientId' | 'device'>) => Promise<Transport>;
}

export interface Attempt {
  /** Throws what is to be told to the person. */
  readonly outcome: Promise<{ readonly mesh: MeshId; readonly members: number }>;
  /** The person does not want to any more. */
  cancel(): Promise<void>;
  /** Ends for now. */
  stop(): void;
}

const { hash, mac } = nodePrimitives;

export async function beginJoin(
  parts: JoinParts,
  link: InviteLink,
  name: DeviceName,
  options: JoinOptions,
  told: (event: JoinEvent) => void,
): Promise<Attempt> {
  const settings = new Map<string, string>();
  const { login, ca } = options;
  if (login !== undefined) {
    settings.set('broker-user', login.user);
    settings.set('broker-password', fromUtf8(login.password.expose()) ?? '');
  }
  if (ca !== undefined) settings.set('broker-ca', ca);
  const joining = await joiningOf(parts, { link, name, settings }, told);
  return attempt(joining, joining.start(link, settings));
}

/** Goes on with what an earlier run has begun. */
export async function resumeJoin(
  parts: JoinParts,
  pending: PendingJoin,
  told: (event: JoinEvent) => void,
): Promise<Attempt> {
  const joining = await joiningOf(parts, pending, told);
  return attempt(
    joining,
    joining.resume().then((result): JoinResult => result ?? { refused: 'pairing-failed' }),
  );
}

function attempt(joining: Joining, result: Promise<JoinResult>): Attempt {
  const outcome = result.then((joined) => {
    if ('refused' in joined) throw new MeshError(codeOf(joined.refused));
    return { mesh: joined.ok.mesh, members: joined.ok.members.length };
  });
  outcome.catch(() => undefined);
  return { outcome, cancel: () => joining.cancel(), stop: () => joining.stop() };
}

const codeOf = (refusal: JoinRefusal): ErrorCode => refusal;

async function joiningOf(
  { engine, keystore, device, connect }: JoinParts,
  { link, name, settings }: Pick<PendingJoin, 'link' | 'name' | 'settings'>,
  told: (event: JoinEvent) => void,
): Promise<Joining> {
  const transport = await connect(brokerOf(link, settings));
  const tell = (event: PairingEvent): void => {
    if (event.kind === 'code') told(event);
    else if (event.kind === 'waiting') told({ kind: 'trouble', error: event.error });
  };
  return createJoining({
    engine,
    hash,
    mac,
    clock: nodeClock,
    randomness: nodeRandomness,
    keystore,
    transport,
    device,
    name,
    tell,
  });
}

function brokerOf(
  { broker, secret }: InviteLink,
  settings: ReadonlyMap<string, string>,
): Omit<MqttSettings, 'clientId' | 'device'> {
  const user = settings.get('broker-user');
  const password = settings.get('broker-password');
  const derived = broker.derivedLogin === true ? inviteLogin(mac, secret) : undefined;
  const own =
    user === undefined
      ? undefined
      : { user, password: password === undefined ? undefined : new Secret(utf8(password)) };
  const shared = derived === undefined ? broker.login : { user: derived.name, password: derived.password };
  const login = own ?? shared;
  return {
    urls: [broker.url],
    username: login?.user,
    password: login?.password,
    ca: settings.get('broker-ca'),
    pin: broker.pin,
    topicPrefix: broker.topicPrefix,
  };
}
