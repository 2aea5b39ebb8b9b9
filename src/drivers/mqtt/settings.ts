/** What a person may set about the way to the broker, and what a transport needs besides. */
import { X509Certificate } from 'node:crypto';
import { type BrokerUrl, parseBrokerUrl } from '../../entities/broker-url.ts';
import type { CertificatePin } from '../../entities/certificate-pin.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import type { Secret } from '../../entities/secret.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { Randomness } from '../../usecases/ports/randomness.ts';

export type ProtocolVersion = 4 | 5;

/** Which version each broker was found to speak, by URL. One for the whole process. */
export type KnownVersions = Map<string, ProtocolVersion>;

export interface MqttSettings {
  /** Ways to one broker or one cluster, tried in this order. */
  readonly urls: readonly string[];
  /** Random, made once and kept: the broker keeps our queue under it. Not the device id. */
  readonly clientId: string;
  readonly device: DeviceId;
  /** Begins without a session, whatever the broker kept, and leaves none. */
  readonly clean?: boolean | undefined;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** PEM. With it nobody else is trusted to vouch for the broker. */
  readonly ca?: string | undefined;
  /** With it nothing but the pin counts: neither authority nor name nor date. */
  readonly pin?: CertificatePin | undefined;
  readonly topicPrefix?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/** Times are in milliseconds unless their name says otherwise. */
export interface Limits {
  /** A connection without traffic is tested this often, and given up after one and a half times this. */
  readonly keepaliveSeconds: number;
  /** From the first packet to the network until our inbox is subscribed. */
  readonly connect: number;
  /** How long a broker may ponder over MQTT 5 before 3.1.1 is tried. */
  readonly versionAnswer: number;
  /** How long a broker may leave every publish unanswered before the connection counts as dead. */
  readonly publishAnswer: number;
  /** How long `close` waits for the broker. */
  readonly goodbye: number;
  readonly firstPause: number;
  readonly longestPause: number;
  /** The pause after a refusal that only a change of settings can end. */
  readonly refusedPause: number;
  /** A connection that lived this long counts as good: pauses begin small again. */
  readonly stable: number;
  /** Connections that the broker ends sooner than this, three in a row, are not an accident. */
  readonly shortLived: number;
  /** Publishes that may wait for the broker's answer at a time; further ones wait here. */
  readonly inFlight: number;
  /** The largest MQTT packet that we take in. */
  readonly packetBytes: number;
  /** How long a broker that speaks MQTT 5 shall keep our queue. */
  readonly sessionExpirySeconds: number;
}

export const DEFAULT_LIMITS: Limits = {
  keepaliveSeconds: 30,
  connect: 15_000,
  versionAnswer: 5_000,
  publishAnswer: 60_000,
  goodbye: 2_000,
  firstPause: 1_000,
  longestPause: 60_000,
  refusedPause: 300_000,
  stable: 60_000,
  shortLived: 10_000,
  inFlight: 1_000,
  packetBytes: 4 * 1024 * 1024 + 1024,
  sessionExpirySeconds: 30 * 24 * 3600,
};

export const DEFAULT_TOPIC_PREFIX = '/mesh/';

export interface MqttPlatform {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly versions: KnownVersions;
}

/** The settings, checked. */
export interface Plan {
  readonly urls: readonly BrokerUrl[];
  readonly clientId: string;
  readonly clean: boolean;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly ca: string | undefined;
  readonly pin: CertificatePin | undefined;
  readonly prefix: string;
  readonly inbox: string;
  readonly limits: Limits;
}

/** Throws a `MeshError` where the settings cannot work whatever the broker says. */
export function plan(settings: MqttSettings): Plan {
  const urls = settings.urls.map((text) => {
    const parsed = parseBrokerUrl(text);
    if ('refused' in parsed) throw new MeshError(parsed.refused);
    return parsed.ok;
  });
  if (urls.length === 0) throw new MeshError('broker-url-missing');
  if (settings.password !== undefined && settings.username === undefined) {
    throw new MeshError('broker-login-incomplete');
  }
  const prefix = settings.topicPrefix ?? DEFAULT_TOPIC_PREFIX;
  if (!isUsablePrefix(prefix)) throw new MeshError('broker-topic-prefix-invalid');
  if (settings.ca !== undefined) assertCertificate(settings.ca);
  return {
    urls,
    clientId: settings.clientId,
    clean: settings.clean ?? false,
    username: settings.username,
    password: settings.password,
    ca: settings.ca,
    pin: settings.pin,
    prefix,
    inbox: prefix + settings.device,
    limits: { ...DEFAULT_LIMITS, ...settings.limits },
  };
}

export function isUsablePrefix(prefix: string): boolean {
  return /^(?!\$)[!-~]{0,199}\/$/.test(prefix) && !/[+#]/.test(prefix);
}

/** Node takes any text for a list of authorities and then trusts nobody, which looks like a bad broker. */
function assertCertificate(pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new MeshError('broker-ca-invalid', {}, cause);
  }
}
