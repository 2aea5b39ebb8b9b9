/**
 * The link of an invite, and so the QR code: who invites, where the broker is, and the secret. All of it stands
 * behind the `#`, which no browser sends to anybody.
 *
 * A fixed layout instead of CBOR: every byte is a character and a third that somebody has to scan or paste. Length
 * and checksum come first in reading, and are alike in all versions, so that a link that was cut, one that was
 * damaged and one from a newer program can be told apart.
 */

import { parseBrokerUrl } from '../broker-url.ts';
import { concat, equal, fromBase64Url, toBase64Url, uint32 } from '../bytes.ts';
import { type CertificatePin, PIN_BYTES } from '../certificate-pin.ts';
import { type Hash, labelledHash } from '../crypto.ts';
import { deriveDeviceId } from '../device-id.ts';
import { type DeviceName, parseDeviceName } from '../device-name.ts';
import {
  type AgreementKey,
  KEY_BYTES,
  type KeyRefusal,
  parseAgreementKey,
  parseDeviceKeys,
} from '../keys.ts';
import type { Party } from '../pair-keys.ts';
import type { Result } from '../result.ts';
import { Secret } from '../secret.ts';
import { fromUtf8, utf8 } from '../text.ts';
import { isTopicPrefix } from '../topic-prefix.ts';

export const LINK_PREFIX = 'mesh://join#';
export const LINK_VERSION = 1;
export const LINK_SECRET_BYTES = 16;
export const LINK_NAME_BYTES = 24;
/** The beginning of the mesh's id: enough to know one's own mesh by. */
export const LINK_MESH_BYTES = 8;
const MAX_CHARACTERS = 512;
/** What people paste may be wrapped into lines and indented. */
const MAX_PASTED = 8 * MAX_CHARACTERS;
const CHECKSUM_BYTES = 4;
const HEAD_BYTES = 3;
const LONGEST_LOGIN = 256;

const SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
const FLAG = { scheme: 0x03, pin: 0x04, login: 0x08, derivedLogin: 0x10, topicPrefix: 0x20 } as const;
const ALL_FLAGS = 0x3f;

export interface LinkLogin {
  readonly user: string;
  readonly password: Secret;
}

/** How the newcomer reaches the broker. */
export interface LinkBroker {
  readonly url: string;
  readonly pin?: CertificatePin;
  /** The login of the broker, where the person asked for it to be shared. */
  readonly login?: LinkLogin;
  /** The broker is the inviter's own and knows the login that follows from the secret: see `inviteLogin`. */
  readonly derivedLogin?: true;
  /** Where it is not the usual one. */
  readonly topicPrefix?: string;
}

export interface InviteLink {
  readonly mesh: Uint8Array;
  readonly inviter: Party;
  readonly oneTimeKey: AgreementKey;
  readonly secret: Secret;
  /** Milliseconds since 1970, a whole second. */
  readonly expiresAt: number;
  readonly name: DeviceName;
  readonly broker: LinkBroker;
}

export type LinkRefusal =
  /** Something else altogether. */
  | 'link-invalid'
  | 'link-too-long'
  | 'link-cut'
  | 'link-damaged'
  | 'link-newer'
  /** Whole, and yet not what a program of this version makes. */
  | 'link-malformed'
  | KeyRefusal;

const MALFORMED = { refused: 'link-malformed' } as const;

export function encodeInviteLink(hash: Hash, link: InviteLink): Result<string, 'link-too-long'> {
  const bytes = inviteLinkBytes(hash, link);
  if ('refused' in bytes) return bytes;
  return { ok: LINK_PREFIX + toBase64Url(bytes.ok) };
}

/** The bytes of a link: the same link always has the same ones. */
export function inviteLinkBytes(hash: Hash, link: InviteLink): Result<Uint8Array, 'link-too-long'> {
  const { broker, inviter } = link;
  const scheme = SCHEMES.findIndex((name) => broker.url.startsWith(`${name}://`));
  if (scheme < 0) throw new Error('the link of an invite needs the URL of a broker');
  const texts = [
    link.name,
    broker.url.slice(`${SCHEMES[scheme]}://`.length),
    ...(broker.login === undefined ? [] : [broker.login.user]),
  ].map(utf8);
  if (broker.login !== undefined) texts.push(broker.login.password.expose());
  if (broker.topicPrefix !== undefined) texts.push(utf8(broker.topicPrefix));
  if (texts.some((text) => text.length > 255)) return { refused: 'link-too-long' };
  const content = concat(
    link.mesh,
    inviter.keys.signing,
    inviter.keys.agreement,
    link.oneTimeKey,
    link.secret.expose(),
    uint32(Math.floor(link.expiresAt / 1000)),
    Uint8Array.of(flagsOf(broker, scheme)),
    broker.pin ?? new Uint8Array(0),
    ...texts.flatMap((text) => [Uint8Array.of(text.length), text]),
  );
  const length = HEAD_BYTES + content.length + CHECKSUM_BYTES;
  if (LINK_PREFIX.length + charactersOf(length) > MAX_CHARACTERS) return { refused: 'link-too-long' };
  const covered = concat(Uint8Array.of(LINK_VERSION, length >>> 8, length & 0xff), content);
  return { ok: concat(covered, checksum(hash, covered)) };
}

export function decodeInviteLink(hash: Hash, pasted: string): Result<InviteLink, LinkRefusal> {
  if (pasted.length > MAX_PASTED) return { refused: 'link-too-long' };
  const text = pasted.replaceAll(/\s/g, '');
  if (!text.startsWith(LINK_PREFIX)) return { refused: 'link-invalid' };
  if (text.length > MAX_CHARACTERS) return { refused: 'link-too-long' };
  const encoded = text.slice(LINK_PREFIX.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) return { refused: 'link-damaged' };
  // Four characters are the three bytes that say how long it is.
  const head = fromBase64Url(encoded.slice(0, 4));
  if (head === undefined || head.length < HEAD_BYTES) return { refused: 'link-cut' };
  const length = ((head[1] ?? 0) << 8) | (head[2] ?? 0);
  if (encoded.length < charactersOf(length)) return { refused: 'link-cut' };
  const bytes = fromBase64Url(encoded);
  if (bytes === undefined || bytes.length !== length) return { refused: 'link-damaged' };
  return decodeInviteLinkBytes(hash, bytes);
}

/** For bytes that are as long as they say: of a link's text, or as they were kept. */
export function decodeInviteLinkBytes(hash: Hash, bytes: Uint8Array): Result<InviteLink, LinkRefusal> {
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < HEAD_BYTES) return { refused: 'link-damaged' };
  if (!equal(bytes.subarray(end), checksum(hash, bytes.subarray(0, end)))) return { refused: 'link-damaged' };
  if (bytes[0] !== LINK_VERSION) return { refused: bytes[0] === 0 ? 'link-malformed' : 'link-newer' };
  const link = readContent(hash, readerOf(bytes.subarray(HEAD_BYTES, end)));
  if ('refused' in link) return link;
  // One link, one encoding: both ends of a pairing hash these bytes.
  const again = inviteLinkBytes(hash, link.ok);
  return 'ok' in again && equal(again.ok, bytes) ? link : MALFORMED;
}

/** As much of a device's name as a link has room for, still fit to be shown. */
export function linkName(name: string, otherwise: DeviceName): DeviceName {
  let cut = '';
  for (const character of name) {
    if (utf8(cut + character).length > LINK_NAME_BYTES) break;
    cut += character;
  }
  const parsed = parseDeviceName(cut.trimEnd());
  return 'ok' in parsed && utf8(parsed.ok).length <= LINK_NAME_BYTES ? parsed.ok : otherwise;
}

function readContent(hash: Hash, reader: LinkReader): Result<InviteLink, LinkRefusal> {
  const mesh = reader.take(LINK_MESH_BYTES);
  const keys = parseKeys(reader.take(KEY_BYTES), reader.take(KEY_BYTES));
  const oneTimeKey = parseKey(reader.take(KEY_BYTES));
  const secret = reader.take(LINK_SECRET_BYTES);
  const expiry = reader.take(4);
  const [flags = 0xff] = reader.take(1) ?? [];
  if (mesh === undefined || secret === undefined || expiry === undefined) return MALFORMED;
  if ('refused' in keys) return keys;
  if ('refused' in oneTimeKey) return oneTimeKey;
  if ((flags & ~ALL_FLAGS) !== 0) return MALFORMED;
  const pin = (flags & FLAG.pin) === 0 ? undefined : reader.take(PIN_BYTES);
  const name = readName(reader);
  const broker = readBroker(reader, flags, pin);
  if (name === undefined || broker === undefined || !reader.isAtEnd()) return MALFORMED;
  return {
    ok: {
      mesh,
      inviter: { id: deriveDeviceId(hash, keys.ok), keys: keys.ok },
      oneTimeKey: oneTimeKey.ok,
      secret: new Secret(secret),
      expiresAt: secondsOf(expiry) * 1000,
      name,
      broker,
    },
  };
}

function readName(reader: LinkReader): DeviceName | undefined {
  const text = reader.text();
  if (text === undefined || utf8(text).length > LINK_NAME_BYTES) return undefined;
  const name = parseDeviceName(text);
  return 'ok' in name ? name.ok : undefined;
}

function readBroker(reader: LinkReader, flags: number, pin: Uint8Array | undefined): LinkBroker | undefined {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const rest = reader.text();
  const user = has(FLAG.login) ? reader.text() : undefined;
  const password = has(FLAG.login) ? reader.text() : undefined;
  const topicPrefix = has(FLAG.topicPrefix) ? reader.text() : undefined;
  if (rest === undefined || has(FLAG.pin) !== (pin !== undefined)) return undefined;
  const url = `${SCHEMES[flags & FLAG.scheme]}://${rest}`;
  if ('refused' in parseBrokerUrl(url)) return undefined;
  if (has(FLAG.login) && (has(FLAG.derivedLogin) || !isLogin(user) || !isLogin(password))) return undefined;
  if (has(FLAG.topicPrefix) && (topicPrefix === undefined || !isTopicPrefix(topicPrefix))) return undefined;
  return {
    url,
    ...(pin === undefined ? {} : { pin: pin as CertificatePin }),
    ...(user === undefined || password === undefined
      ? {}
      : { login: { user, password: new Secret(utf8(password)) } }),
    ...(has(FLAG.derivedLogin) ? { derivedLogin: true as const } : {}),
    ...(topicPrefix === undefined ? {} : { topicPrefix }),
  };
}

function flagsOf(broker: LinkBroker, scheme: number): number {
  return (
    scheme |
    (broker.pin === undefined ? 0 : FLAG.pin) |
    (broker.login === undefined ? 0 : FLAG.login) |
    (broker.derivedLogin === undefined ? 0 : FLAG.derivedLogin) |
    (broker.topicPrefix === undefined ? 0 : FLAG.topicPrefix)
  );
}

/** As a login may be in the settings. */
function isLogin(text: string | undefined): boolean {
  return text !== undefined && text.length > 0 && text.length <= LONGEST_LOGIN && !/\p{Cc}/u.test(text);
}

function parseKeys(signing: Uint8Array | undefined, agreement: Uint8Array | undefined) {
  if (signing === undefined || agreement === undefined) return MALFORMED;
  return parseDeviceKeys(signing, agreement);
}

function parseKey(key: Uint8Array | undefined) {
  return key === undefined ? MALFORMED : parseAgreementKey(key);
}

function secondsOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

function charactersOf(bytes: number): number {
  return Math.ceil((bytes * 8) / 6);
}

/** Guards against accidents only: whoever alters a link on purpose makes a new one. */
function checksum(hash: Hash, covered: Uint8Array): Uint8Array {
  return labelledHash(hash, 'link checksum v1', covered).subarray(0, CHECKSUM_BYTES);
}

interface LinkReader {
  /** A copy, or `undefined` where there is not as much. */
  take(length: number): Uint8Array | undefined;
  text(): string | undefined;
  isAtEnd(): boolean;
}

function readerOf(bytes: Uint8Array): LinkReader {
  let at = 0;
  function take(length: number): Uint8Array | undefined {
    const end = at + length;
    if (end > bytes.length) return undefined;
    const taken = new Uint8Array(bytes.subarray(at, end));
    at = end;
    return taken;
  }
  return {
    take,
    text() {
      const [length] = take(1) ?? [];
      const text = length === undefined ? undefined : take(length);
      return text === undefined ? undefined : fromUtf8(text);
    },
    isAtEnd: () => at === bytes.length,
  };
}
