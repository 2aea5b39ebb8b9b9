/**
 * The broker inside the daemon. Each device's password is made from one secret of this device and the device's
 * id, so there is no list to keep in step with the roster: a member has a login, others have none.
 */
import { lookup } from 'node:dns/promises';
import { SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { equal, fromHex, toBase64Url, toHex } from '../../entities/bytes.ts';
import type { CertificatePin } from '../../entities/certificate-pin.ts';
import { hkdf32, type Mac } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Roster } from '../../entities/roster/roster.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import type { Keystore } from '../../usecases/ports/keystore.ts';
import { EMBEDDED_CERTIFICATE, EMBEDDED_KEY, EMBEDDED_SECRET } from '../../usecases/settings.ts';
import { isLoopback, isWildcard, reachableAddress } from '../aedes/address.ts';
import { type KeyAndCertificate, makeCertificate, pinOf } from '../aedes/certificate.ts';
import type { BrokerStatus } from '../aedes/embedded-broker.ts';
import { type DeviceLogin, hashBrokerPassword, type InviteLogin } from '../aedes/login.ts';
import type { MqttSettings } from '../mqtt/settings.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';

const EMBEDDED_SECRET_BYTES = 32;
const PLAIN_PORT = 1883;
const TLS_PORT = 8883;
const { mac } = nodePrimitives;

export interface EmbeddedLogin {
  readonly name: string;
  readonly password: Secret;
}

export interface EmbeddedAddress {
  /** A name or an address. */
  readonly host: string;
  /** 0 takes any free port. Without it 1883, or 8883 with TLS. */
  readonly port: number | undefined;
}

export interface EmbeddedOptions extends EmbeddedAddress {
  /** This device has a login whatever the roster says: it owns the broker. */
  readonly self: DeviceId;
  readonly members: Iterable<DeviceId>;
}

/** A broker for this mesh, and what others have to know to use it. */
export interface Embedded {
  /** How this device connects, without leaving the machine where that can be. */
  readonly ownUrl: string;
  /** What an invite names. Looked up anew each time; nothing while no address of this machine can be reached. */
  readonly inviteUrl: string | undefined;
  /** Where it listens. */
  readonly address: string;
  /** False on the loopback only. */
  readonly tls: boolean;
  /** Of its certificate, where it has one. Those who connect trust this and nothing else. */
  readonly pin: CertificatePin | undefined;
  settingsFor(device: DeviceId, topicPrefix: string | undefined): Omit<MqttSettings, 'clientId' | 'device'>;
  loginFor(device: DeviceId): EmbeddedLogin;
  /** Whoever is not among these any more is disconnected, and what waited for it is gone. */
  setMembers(members: Iterable<DeviceId>): void;
  /** The logins of newcomers that are awaited, in place of earlier ones. */
  setInvites(logins: readonly EmbeddedLogin[]): void;
  /** Everybody is disconnected, and finds the broker at the new prefix. */
  setTopicPrefix(topicPrefix: string | undefined): void;
  status(): BrokerStatus;
  stop(): Promise<void>;
}

/** Throws a `MeshError` where it cannot listen. */
export async function openEmbedded(
  keystore: Pick<Keystore, 'read' | 'commit'>,
  { host, port: wanted, self, members }: EmbeddedOptions,
): Promise<Embedded> {
  const local = await localAddress(host, wanted ?? TLS_PORT);
  const tls = isLoopback(local) ? undefined : await embeddedCertificate(keystore);
  const pin = tls === undefined ? undefined : pinOf(tls.cert);
  const port = wanted ?? (tls === undefined ? PLAIN_PORT : TLS_PORT);
  const secret = await embeddedSecret(keystore);
  // Loaded only where it is asked for: most daemons have a broker elsewhere.
  const { startBroker } = await import('../aedes/embedded-broker.ts');
  const withSelf = (ids: Iterable<DeviceId>): Set<DeviceId> => new Set([self, ...ids]);
  let served = withSelf(members);
  const broker = await startBroker({
    host: local,
    port,
    tls,
    logins: deviceLogins(mac, secret, served),
    topicPrefix: await keystore.read('setting', 'topic-prefix'),
  });
  let invites: ReadonlyMap<string, InviteLogin> = new Map();
  const url = (to: string): string =>
    `${tls === undefined ? 'mqtt' : 'mqtts'}://${to.includes(':') ? `[${to}]` : to}:${broker.port}`;
  const ownUrl = url(isWildcard(local) ? (local.includes(':') ? '::1' : '127.0.0.1') : local);
  const loginFor = (device: DeviceId): EmbeddedLogin => embeddedLogin(mac, secret, device);

  return {
    ownUrl,
    get inviteUrl() {
      if (tls === undefined) return ownUrl;
      // A name outlives the address that it stands for today.
      const reached = isWildcard(local) ? reachableAddress(local, networkInterfaces()) : host;
      return reached === undefined ? undefined : url(reached);
    },
    address: url(local),
    tls: tls !== undefined,
    pin,
    settingsFor(device, topicPrefix) {
      const { name, password } = loginFor(device);
      return { urls: [ownUrl], username: name, password, pin, topicPrefix };
    },
    loginFor,
    setMembers(ids) {
      const next = withSelf(ids);
      for (const id of served) if (!next.has(id)) broker.removeLogin(loginFor(id).name);
      const fresh = [...next].filter((id) => !served.has(id));
      for (const login of deviceLogins(mac, secret, fresh)) broker.addLogin(login);
      served = next;
    },
    setInvites(logins) {
      const next = new Map(logins.map((login) => [login.name, inviteLogin(login, self)]));
      for (const name of invites.keys()) if (!next.has(name)) broker.removeLogin(name);
      for (const [name, login] of next) {
        // The newcomer that is there already is not disturbed.
        if (!equal(invites.get(name)?.passwordHash ?? NONE, login.passwordHash)) broker.addLogin(login);
      }
      invites = next;
    },
    setTopicPrefix: (topicPrefix) => broker.setTopicPrefix(topicPrefix),
    status: () => broker.status(),
    stop: () => broker.stop(),
  };
}

/** Members, and those that are void: they too have to hear how they stand. */
export function guestsOf({ devices }: Pick<Roster, 'devices'>): ReadonlySet<DeviceId> {
  const welcome = [...devices.values()].filter(({ status }) => status === 'member' || status === 'void');
  return new Set(welcome.map(({ id }) => id));
}

/** What people and scripts are told of it. */
export function announcement({ address, inviteUrl, tls, pin }: Embedded): JsonObject {
  return { address, invite: inviteUrl ?? null, tls, pin: pin === undefined ? null : toHex(pin) };
}

/** The password is text, so that a person could type it. */
export function embeddedLogin(mac: Mac, secret: Secret, device: DeviceId): EmbeddedLogin {
  const bytes = hkdf32(mac, secret.expose(), utf8(device), 'embedded broker login v1');
  return { name: device, password: new Secret(utf8(toBase64Url(bytes.subarray(0, 24)))) };
}

export function deviceLogins(mac: Mac, secret: Secret, devices: Iterable<DeviceId>): DeviceLogin[] {
  return [...devices].map((device) => {
    const { name, password } = embeddedLogin(mac, secret, device);
    return { kind: 'device', name, device, passwordHash: hashBrokerPassword(name, password) };
  });
}

const NONE = new Uint8Array();

function inviteLogin({ name, password }: EmbeddedLogin, inviter: DeviceId): InviteLogin {
  return { kind: 'invite', name, inviter, passwordHash: hashBrokerPassword(name, password) };
}

/** The address that is listened on, in its usual spelling: whether TLS is needed hangs on it, not on a name. */
async function localAddress(host: string, port: number): Promise<string> {
  try {
    const { address, family } = await lookup(host);
    return new SocketAddress({ address, family: family === 6 ? 'ipv6' : 'ipv4' }).address;
  } catch (cause) {
    const detail = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given';
    throw new MeshError('embedded-broker-cannot-listen', { host, port, detail }, cause);
  }
}

/** Made when it is first needed, and kept: the pin that others were given has to stay right. */
async function embeddedCertificate(keystore: Pick<Keystore, 'read' | 'commit'>): Promise<KeyAndCertificate> {
  const key = await keystore.read('setting', EMBEDDED_KEY);
  const cert = await keystore.read('setting', EMBEDDED_CERTIFICATE);
  if (key !== undefined && cert !== undefined) return { key, cert };
  const fresh = await makeCertificate();
  await keystore.commit([
    { kind: 'setting', key: EMBEDDED_KEY, put: fresh.key },
    { kind: 'setting', key: EMBEDDED_CERTIFICATE, put: fresh.cert },
  ]);
  return fresh;
}

/** Made when it is first needed, and kept. */
export async function embeddedSecret(keystore: Pick<Keystore, 'read' | 'commit'>): Promise<Secret> {
  const kept = fromHex((await keystore.read('setting', EMBEDDED_SECRET)) ?? '');
  if (kept?.length === EMBEDDED_SECRET_BYTES) return new Secret(kept);
  const fresh = nodeRandomness(EMBEDDED_SECRET_BYTES);
  await keystore.commit([{ kind: 'setting', key: EMBEDDED_SECRET, put: toHex(fresh) }]);
  return new Secret(fresh);
}
