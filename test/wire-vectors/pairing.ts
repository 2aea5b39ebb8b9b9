/**
 * What `test/vectors/pairing.json` holds: the laptop invites the phone. Links, the messages of a pairing, and all
 * that follows from both. One list of cases, which is why it is long.
 */
import { sign } from 'node:crypto';
import { statementText } from '../../src/drivers/vodozemac/statement.ts';
import { concat, toBase64Url, toHex, uint32 } from '../../src/entities/bytes.ts';
import type { CertificatePin } from '../../src/entities/certificate-pin.ts';
import { labelledHash } from '../../src/entities/crypto.ts';
import { deviceIdBytes } from '../../src/entities/device-id.ts';
import type { DeviceName } from '../../src/entities/device-name.ts';
import { meshIdBytes } from '../../src/entities/mesh-id.ts';
import { abortSignable, encodeAbort } from '../../src/entities/pairing/abort.ts';
import {
  inviteLogin,
  inviteTag,
  type PairingDirection,
  pairingMac,
} from '../../src/entities/pairing/keys.ts';
import { encodeInviteLink, type InviteLink, LINK_PREFIX } from '../../src/entities/pairing/link.ts';
import {
  type Bundle,
  bundleSignable,
  encodeMessage,
  type PairingMessage,
} from '../../src/entities/pairing/messages.ts';
import {
  approvalProof,
  commitmentTo,
  firstMessageHash,
  linkHash,
  pairingCode,
  transcriptHash,
} from '../../src/entities/pairing/transcript.ts';
import type { Signable } from '../../src/entities/roster/signing.ts';
import { Secret } from '../../src/entities/secret.ts';
import { fromUtf8, utf8 } from '../../src/entities/text.ts';
import {
  filled,
  hash,
  inviteSecret,
  laptop,
  mac,
  mesh,
  must,
  oneTimeKeys,
  phone,
  type VectorDevice,
} from './cast.ts';
import { sessionId } from './pair-keys.ts';
import { arr, bin, nil, num, type Raw, raw, txt } from './raw-cbor.ts';
import { show } from './show.ts';

const [oneTimeKey = filled(32, 0)] = oneTimeKeys(1);
const ends = { inviter: laptop.party.id, newcomer: phone.party.id };
const name = "Alice's laptop" as DeviceName;
const EXPIRES = 1_700_000_600;

const link: InviteLink = {
  mesh: meshIdBytes(mesh).subarray(0, 8),
  inviter: laptop.party,
  oneTimeKey: oneTimeKey as InviteLink['oneTimeKey'],
  secret: inviteSecret,
  expiresAt: EXPIRES * 1000,
  name,
  broker: { url: 'mqtt://192.168.178.20:1883' },
};
const pin = filled(32, 0x71) as CertificatePin;
const login = { user: 'alice', password: new Secret(utf8('correct horse')) };

const LINKS: readonly (readonly [title: string, link: InviteLink])[] = [
  ['a link', link],
  ['over TLS, with a pin', { ...link, broker: { url: 'mqtts://pi.local', pin } }],
  ['over WebSockets', { ...link, broker: { url: 'ws://broker.example:8080/mqtt' } }],
  ['over TLS and WebSockets', { ...link, broker: { url: 'wss://broker.example/mqtt' } }],
  ['with the login of the broker', { ...link, broker: { ...link.broker, login } }],
  ['with a login that follows from the secret', { ...link, broker: { ...link.broker, derivedLogin: true } }],
  ['with another topic prefix', { ...link, broker: { ...link.broker, topicPrefix: 'home/mesh/' } }],
  ['with the longest name', { ...link, name: 'ünïcödé ünïcödéx' as DeviceName }],
  [
    'with everything',
    { ...link, broker: { url: 'mqtts://pi.local:8884', pin, login, topicPrefix: 'home/mesh/' } },
  ],
];

/** The bytes of a link, part by part; `whole` puts length and checksum around them. */
const parts = {
  mesh: link.mesh,
  signing: laptop.party.keys.signing as Uint8Array,
  agreement: laptop.party.keys.agreement as Uint8Array,
  oneTimeKey: oneTimeKey as Uint8Array,
  secret: inviteSecret.expose(),
  expiry: uint32(EXPIRES),
  flags: raw(0),
  pin: raw(),
  name: measured(name),
  broker: measured('192.168.178.20:1883'),
  rest: raw(),
};
function measured(text: string): Raw {
  const bytes = utf8(text);
  return concat(Uint8Array.of(bytes.length), bytes);
}
function whole(content: Raw, version = 1): Raw {
  const length = content.length + 7;
  const covered = concat(Uint8Array.of(version, length >> 8, length & 0xff), content);
  return concat(covered, labelledHash(hash, 'link checksum v1', covered).subarray(0, 4));
}
const altered = (change: Partial<typeof parts>): Raw =>
  whole(concat(...Object.values({ ...parts, ...change })));
const textOf = (bytes: Raw): string => LINK_PREFIX + toBase64Url(bytes);
const sound = textOf(altered({}));

const REFUSED_LINKS: readonly (readonly [title: string, text: string, refused: string])[] = [
  ['nothing', '', 'link-invalid'],
  ['a web address', 'https://example.org/#join', 'link-invalid'],
  ['a link without its beginning', sound.slice(1), 'link-invalid'],
  ['a link with capital letters in front', sound.replace('mesh:', 'Mesh:'), 'link-invalid'],
  ['the beginning alone', LINK_PREFIX, 'link-cut'],
  ['three characters', sound.slice(0, LINK_PREFIX.length + 3), 'link-cut'],
  ['four characters', sound.slice(0, LINK_PREFIX.length + 4), 'link-cut'],
  ['cut in its middle', sound.slice(0, 120), 'link-cut'],
  ['cut by one character', sound.slice(0, -1), 'link-cut'],
  ['one character more', `${sound}A`, 'link-damaged'],
  ['four characters more', `${sound}AAAA`, 'link-damaged'],
  ['a full stop behind it', `${sound}.`, 'link-damaged'],
  [
    'another character in its middle',
    `${sound.slice(0, 100)}${sound[100] === 'A' ? 'B' : 'A'}${sound.slice(101)}`,
    'link-damaged',
  ],
  ['a character of another alphabet', `${sound.slice(0, 100)}+${sound.slice(101)}`, 'link-damaged'],
  ['shorter than it may be', textOf(whole(raw()).subarray(0, 6)), 'link-cut'],
  ['513 characters', sound + 'A'.repeat(513 - sound.length), 'link-too-long'],
  ['more blanks than text', `${sound}${' '.repeat(5000)}`, 'link-too-long'],
  ['version 2', textOf(whole(concat(...Object.values(parts)), 2)), 'link-newer'],
  ['version 2 and nothing else that we know', textOf(whole(raw(1, 2, 3), 2)), 'link-newer'],
  ['version 0', textOf(whole(concat(...Object.values(parts)), 0)), 'link-malformed'],
  ['no content', textOf(whole(raw())), 'link-malformed'],
  ['something behind its end', textOf(altered({ rest: raw(0) })), 'link-malformed'],
  ['the end missing, checksum and all', textOf(altered({ broker: raw() })), 'link-malformed'],
  ['a flag that is not known', textOf(altered({ flags: raw(0x40) })), 'link-malformed'],
  ['a pin that is announced and missing', textOf(altered({ flags: raw(0x04) })), 'link-malformed'],
  ['a pin that is not announced', textOf(altered({ pin })), 'link-malformed'],
  ['a login that is announced and missing', textOf(altered({ flags: raw(0x08) })), 'link-malformed'],
  [
    'two logins',
    textOf(altered({ flags: raw(0x18), rest: concat(measured('a'), measured('b')) })),
    'link-malformed',
  ],
  [
    'a login without a name',
    textOf(altered({ flags: raw(0x08), rest: concat(measured(''), measured('b')) })),
    'link-malformed',
  ],
  [
    'a login with a line break',
    textOf(altered({ flags: raw(0x08), rest: concat(measured('a\n'), measured('b')) })),
    'link-malformed',
  ],
  [
    'a topic prefix that is a filter',
    textOf(altered({ flags: raw(0x20), rest: measured('#/') })),
    'link-malformed',
  ],
  ['no name', textOf(altered({ name: measured('') })), 'link-malformed'],
  ['a name of 25 bytes', textOf(altered({ name: measured('a'.repeat(25)) })), 'link-malformed'],
  ['a name with a line break', textOf(altered({ name: measured('a\nb') })), 'link-malformed'],
  ['a name in another normal form', textOf(altered({ name: measured('u\u0308') })), 'link-malformed'],
  ['a name that is not UTF-8', textOf(altered({ name: raw(2, 0xc3, 0x28) })), 'link-malformed'],
  ['a broker with a login in its URL', textOf(altered({ broker: measured('a:b@host') })), 'link-malformed'],
  ['no broker', textOf(altered({ broker: measured('') })), 'link-malformed'],
  ['a broker with a port too high', textOf(altered({ broker: measured('host:65536') })), 'link-malformed'],
  [
    'a signing key of low order',
    textOf(altered({ signing: concat(raw(1), filled(31, 0)) })),
    'key-low-order',
  ],
  ['an agreement key of low order', textOf(altered({ agreement: filled(32, 0) })), 'key-low-order'],
  ['a one-time key of low order', textOf(altered({ oneTimeKey: filled(32, 0) })), 'key-low-order'],
  [
    'a one-time key that is not reduced',
    textOf(altered({ oneTimeKey: concat(filled(31, 0xff), raw(0x7f)) })),
    'key-malformed',
  ],
];

const signedBy = (device: VectorDevice, { label, digest }: Signable): Uint8Array =>
  Uint8Array.from(sign(null, Buffer.from(statementText({ label, digest })), device.signingKey));

const linkBytes = altered({});
const nonces = { newcomer: filled(32, 0x81), inviter: filled(32, 0x82) };
const bundle: Bundle = {
  step: 1,
  versions: [1],
  keys: phone.party.keys,
  name: "Alice's phone" as DeviceName,
  commitment: commitmentTo(hash, phone.party.id, nonces.newcomer),
  link: linkHash(hash, linkBytes),
};
const first = { ...bundle, signature: signedBy(phone, bundleSignable(hash, laptop.party.id, bundle)) };
const second = {
  step: 2,
  version: 1,
  nonce: nonces.inviter,
  first: firstMessageHash(hash, encodeMessage(first)),
  mesh,
} as const;
const transcript = transcriptHash(hash, {
  link: linkBytes,
  first: encodeMessage(first),
  second: encodeMessage(second),
  nonce: nonces.newcomer,
  session: sessionId,
  mesh,
  inviter: laptop.party,
  inviterName: name,
  newcomer: phone.party,
  newcomerName: bundle.name,
});
const proof = approvalProof(mac, inviteSecret, sessionId, transcript);
const keys = oneTimeKeys(2, 3, 4, 5, 6);
const entries = [filled(40, 0x91), filled(41, 0x92)];

const MESSAGES: readonly (readonly [title: string, message: PairingMessage])[] = [
  ['first', first],
  ['second', second],
  ['third', { step: 3, nonce: nonces.newcomer }],
  ['fourth', { step: 4, index: 0, total: 2, proof, entries }],
  ['fourth, the last of two parts', { step: 4, index: 1, total: 2, proof, entries: [] }],
  ['fifth', { step: 5, consent: filled(64, 0x93), keys }],
  ['sixth', { step: 6, index: 0, total: 1, entries, keys, login: undefined }],
  [
    'sixth with a login',
    { step: 6, index: 0, total: 1, entries, keys, login: { name: 'phone', password: login.password } },
  ],
];

const n32 = bin(filled(32, 1));
const s64 = bin(filled(64, 1));
const signing = bin(phone.party.keys.signing);
const agreement = bin(phone.party.keys.agreement);
const aFirst = (
  change: Partial<Record<'versions' | 'signing' | 'agreement' | 'name' | 'commitment', Raw>>,
): Raw =>
  arr(
    num(1),
    change.versions ?? arr(num(1)),
    change.signing ?? signing,
    change.agreement ?? agreement,
    change.name ?? bin(utf8('a')),
    change.commitment ?? n32,
    n32,
    s64,
  );
const lists = { keys: arr(...keys.map((key) => bin(key))), entries: arr(bin(raw(1))) };

const REFUSED_MESSAGES: readonly (readonly [title: string, step: number, bytes: Raw, refused: string])[] = [
  ['nothing', 1, raw(), 'cbor-malformed'],
  ['a number', 1, num(1), 'pairing-malformed'],
  ['another step', 2, arr(num(3), n32), 'pairing-malformed'],
  ['something behind the end', 3, concat(arr(num(3), n32), raw(0)), 'cbor-malformed'],
  ['a step in more bytes than it needs', 3, concat(raw(0x82, 0x18, 3), n32), 'cbor-malformed'],
  ['first without a version', 1, aFirst({ versions: arr() }), 'pairing-malformed'],
  [
    'first with 17 versions',
    1,
    aFirst({ versions: arr(...Array.from({ length: 17 }, () => num(1))) }),
    'pairing-malformed',
  ],
  [
    'first with a low-order signing key',
    1,
    aFirst({ signing: bin(concat(raw(1), filled(31, 0))) }),
    'key-low-order',
  ],
  ['first with a low-order agreement key', 1, aFirst({ agreement: bin(filled(32, 0)) }), 'key-low-order'],
  ['first with a key of 31 bytes', 1, aFirst({ agreement: bin(filled(31, 9)) }), 'key-malformed'],
  ['first without a name', 1, aFirst({ name: bin(raw()) }), 'pairing-malformed'],
  ['first with a name that deceives', 1, aFirst({ name: bin(utf8('a\u202eb')) }), 'pairing-malformed'],
  [
    'first with a name in another normal form',
    1,
    aFirst({ name: bin(utf8('u\u0308')) }),
    'pairing-malformed',
  ],
  ['first with a name of 257 bytes', 1, aFirst({ name: bin(filled(257, 0x61)) }), 'pairing-malformed'],
  ['first with a name as text', 1, aFirst({ name: txt('a') }), 'pairing-malformed'],
  ['first with a commitment of 31 bytes', 1, aFirst({ commitment: bin(filled(31, 1)) }), 'pairing-malformed'],
  [
    'second with a nonce of 31 bytes',
    2,
    arr(num(2), num(1), bin(filled(31, 1)), n32, n32),
    'pairing-malformed',
  ],
  [
    'second with a mesh of 31 bytes',
    2,
    arr(num(2), num(1), n32, n32, bin(filled(31, 1))),
    'pairing-malformed',
  ],
  ['second with one item more', 2, arr(num(2), num(1), n32, n32, n32, nil), 'pairing-malformed'],
  ['third without its nonce', 3, arr(num(3)), 'pairing-malformed'],
  ['fourth with part 1 of 1', 4, arr(num(4), num(1), num(1), n32, lists.entries), 'pairing-malformed'],
  ['fourth with no parts', 4, arr(num(4), num(0), num(0), n32, lists.entries), 'pairing-malformed'],
  ['fourth with too many parts', 4, arr(num(4), num(0), num(1025), n32, lists.entries), 'pairing-malformed'],
  [
    'fourth with a proof of 16 bytes',
    4,
    arr(num(4), num(0), num(1), bin(filled(16, 1)), lists.entries),
    'pairing-malformed',
  ],
  ['fourth with an entry as text', 4, arr(num(4), num(0), num(1), n32, arr(txt('a'))), 'pairing-malformed'],
  ['fifth with a consent of 63 bytes', 5, arr(num(5), bin(filled(63, 1)), lists.keys), 'pairing-malformed'],
  ['fifth without keys', 5, arr(num(5), s64, arr()), 'pairing-malformed'],
  ['fifth with a key twice', 5, arr(num(5), s64, arr(agreement, agreement)), 'pairing-malformed'],
  ['fifth with a low-order key', 5, arr(num(5), s64, arr(bin(filled(32, 0)))), 'key-low-order'],
  [
    'sixth without a word about the login',
    6,
    arr(num(6), num(0), num(1), lists.entries, lists.keys),
    'pairing-malformed',
  ],
  [
    'sixth with half a login',
    6,
    arr(num(6), num(0), num(1), lists.entries, lists.keys, arr(bin(raw(0x61)))),
    'pairing-malformed',
  ],
  [
    'sixth with an empty password',
    6,
    arr(num(6), num(0), num(1), lists.entries, lists.keys, arr(bin(raw(0x61)), bin(raw()))),
    'pairing-malformed',
  ],
];

const DIRECTIONS: readonly PairingDirection[] = ['to inviter', 'to newcomer'];

export function pairingVectors(): unknown {
  const covered = utf8('every byte of an envelope before its authenticator');
  const derived = inviteLogin(mac, inviteSecret);
  return {
    secret: toHex(inviteSecret.expose()),
    tag: toHex(inviteTag(mac, inviteSecret)),
    login: { name: derived.name, password: fromUtf8(derived.password.expose()) ?? '' },
    macs: DIRECTIONS.map((direction) => ({
      direction,
      covered: toHex(covered),
      mac: toHex(pairingMac(mac, inviteSecret, direction, ends, covered)),
    })),
    links: {
      accept: LINKS.map(([title, one]) => {
        const { inviter, secret, broker, ...rest } = one;
        const { login: given, ...reach } = broker;
        const shared = given === undefined ? {} : { login: [given.user, textIn(given.password)] };
        return {
          title,
          text: must(encodeInviteLink(hash, one)),
          link: show({
            ...rest,
            inviter: inviter.id,
            secret: secret.expose(),
            broker: { ...reach, ...shared },
          }),
        };
      }),
      refuse: REFUSED_LINKS.map(([title, text, refused]) => ({ title, text, refused })),
    },
    messages: {
      accept: MESSAGES.map(([title, message]) => ({
        title,
        step: message.step,
        bytes: toHex(encodeMessage(message)),
      })),
      refuse: REFUSED_MESSAGES.map(([title, step, bytes, refused]) => ({
        title,
        step,
        bytes: toHex(bytes),
        refused,
      })),
    },
    aborts: DIRECTIONS.map((direction) => {
      const by = direction === 'to inviter' ? phone : laptop;
      const said = abortSignable(hash, direction, inviteTag(mac, inviteSecret), ends, 'wrong-code');
      return {
        direction,
        reason: 'wrong-code',
        digest: toHex(said.digest),
        bytes: toHex(encodeAbort({ reason: 'wrong-code', signature: signedBy(by, said) })),
      };
    }),
    transcript: {
      link: sound,
      session: toHex(sessionId),
      commitment: toHex(bundle.commitment),
      first: toHex(second.first),
      hash: toHex(transcript),
      code: pairingCode(hash, transcript),
      proof: toHex(proof),
      ids: [laptop, phone].map(({ party }) => toHex(deviceIdBytes(party.id))),
    },
  };
}

function textIn(secret: Secret): string {
  return fromUtf8(secret.expose()) ?? '';
}
