/** What a person may set. Settings lie in the store like everything else, so they are sealed with it. */
import { parseBrokerUrl } from '../entities/broker-url.ts';
import { parseCertificatePin } from '../entities/certificate-pin.ts';
import type { ErrorCode } from '../entities/errors.ts';
import { isTopicPrefix } from '../entities/topic-prefix.ts';
import type { Keystore } from './ports/keystore.ts';

/** Of the program's own: not among those that people see. The broker keeps our queue under this name. */
export const CLIENT_ID = 'mqtt-client-id';
/** From which the embedded broker's logins are made. */
export const EMBEDDED_SECRET = 'embedded-broker-secret';
/** What it shows of itself beyond the loopback: its key and its certificate, in PEM form. */
export const EMBEDDED_KEY = 'embedded-broker-key';
export const EMBEDDED_CERTIFICATE = 'embedded-broker-certificate';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** How long the inbox keeps a message for readers that have not passed it, where nobody says otherwise. */
export const DEFAULT_RETENTION = 30 * DAY;
const SHORTEST_RETENTION = HOUR;
const LONGEST_RETENTION = 365 * DAY;

const LONGEST_LOGIN = 256;
const LONGEST_CERTIFICATE = 64 * 1024;

export interface SettingRefusal {
  readonly refused: Extract<ErrorCode, `broker-${string}` | 'setting-unknown' | 'setting-invalid'>;
  readonly detail?: string;
}

interface Setting {
  readonly secret?: true;
  /** The value as it is kept. */
  parse(text: string): { readonly ok: string } | SettingRefusal;
}

const invalid = (detail: string): SettingRefusal => ({ refused: 'setting-invalid', detail });

const login: Setting['parse'] = (text) =>
  text.length === 0 || text.length > LONGEST_LOGIN || /\p{Cc}/u.test(text)
    ? invalid(`it has to be 1 to ${LONGEST_LOGIN} printable characters`)
    : { ok: text };

const settings = {
  /** One or more URLs of one broker or one cluster. */
  broker: {
    parse(text) {
      const urls = splitUrls(text);
      if (urls.length === 0) return { refused: 'broker-url-invalid' };
      for (const url of urls) {
        const parsed = parseBrokerUrl(url);
        if ('refused' in parsed) return parsed;
      }
      return { ok: urls.join(' ') };
    },
  },
  'broker-user': { parse: login },
  'broker-password': { secret: true, parse: login },
  /** The certificates themselves, in PEM form. */
  'broker-ca': {
    parse: (text) =>
      text.length <= LONGEST_CERTIFICATE && /-----BEGIN CERTIFICATE-----/.test(text)
        ? { ok: text }
        : { refused: 'broker-ca-invalid' },
  },
  'broker-pin': {
    parse: (text) =>
      parseCertificatePin(text) === undefined
        ? invalid('a pin is the SHA-256 of the certificate, in hexadecimal')
        : { ok: text },
  },
  'topic-prefix': {
    parse: (text) => (isTopicPrefix(text) ? { ok: text } : { refused: 'broker-topic-prefix-invalid' }),
  },
  retention: {
    parse: (text) =>
      parseRetention(text) === undefined
        ? invalid('it has to be a time from 1h to 365d, such as 7d')
        : { ok: text },
  },
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof settings;
export const SETTING_KEYS = Object.keys(settings) as readonly SettingKey[];

export interface SettingValue {
  readonly key: SettingKey;
  /** Absent where it is not set, and always for a secret. */
  readonly value: string | undefined;
  readonly isSet: boolean;
  readonly secret: boolean;
}

export interface Settings {
  get(key: SettingKey): Promise<string | undefined>;
  /** What may be shown of a setting. */
  show(key: string): Promise<{ readonly ok: SettingValue } | SettingRefusal>;
  /** Resolves once the new value is durable and has taken effect. */
  set(key: string, text: string): Promise<{ readonly ok: SettingValue } | SettingRefusal>;
  unset(key: string): Promise<{ readonly ok: SettingValue } | SettingRefusal>;
}

/** Milliseconds of running time; `undefined` for what is no such time, or too short or long a one. */
export function parseRetention(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const milliseconds = Number(number) * ({ m: HOUR / 60, h: HOUR, d: DAY }[unit] ?? Number.NaN);
  return milliseconds >= SHORTEST_RETENTION && milliseconds <= LONGEST_RETENTION ? milliseconds : undefined;
}

export function splitUrls(text: string): string[] {
  return text.split(/[\s,]+/).filter((url) => url !== '');
}

/** One setting as it would be kept; for those that are written in the commit that makes a device. */
export function parseSetting(key: string, text: string): { readonly ok: string } | SettingRefusal {
  return isSetting(key) ? settings[key].parse(text) : { refused: 'setting-unknown' };
}

/** `changed` is called after each change that is durable: what depends on the setting is made anew there. */
export function createSettings(
  keystore: Pick<Keystore, 'read' | 'commit'>,
  changed: (key: SettingKey) => Promise<void>,
): Settings {
  async function value(key: SettingKey): Promise<SettingValue> {
    const stored = await keystore.read('setting', key);
    const setting: Setting = settings[key];
    const secret = setting.secret === true;
    return { key, value: secret ? undefined : stored, isSet: stored !== undefined, secret };
  }
  return {
    get: (key) => keystore.read('setting', key),
    async show(key) {
      return isSetting(key) ? { ok: await value(key) } : { refused: 'setting-unknown' };
    },
    async set(key, text) {
      if (!isSetting(key)) return { refused: 'setting-unknown' };
      const parsed = settings[key].parse(text);
      if ('refused' in parsed) return parsed;
      await keystore.commit([{ kind: 'setting', key, put: parsed.ok }]);
      await changed(key);
      return { ok: await value(key) };
    },
    async unset(key) {
      if (!isSetting(key)) return { refused: 'setting-unknown' };
      await keystore.commit([{ kind: 'setting', key, remove: true }]);
      await changed(key);
      return { ok: await value(key) };
    },
  };
}

function isSetting(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}
