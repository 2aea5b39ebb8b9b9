/**
 * What `test/vectors/envelopes.json` holds. The accepted ones are from the laptop to the phone and authentic.
 * One list of cases, which is why it is long.
 */
import { concat, toHex } from '../../src/entities/bytes.ts';
import { deviceIdBytes } from '../../src/entities/device-id.ts';
import { LOW_ORDER_X25519 } from '../../src/entities/low-order-keys.ts';
import { envelopeKey, envelopeMac } from '../../src/entities/pair-keys.ts';
import { inviteTag, pairingMac } from '../../src/entities/pairing/keys.ts';
import { Secret } from '../../src/entities/secret.ts';
import {
  coveredBytes,
  decodeEnvelope,
  encodeEnvelope,
  MAX_ENVELOPE_BYTES,
  type Unsealed,
} from '../../src/entities/wire/envelope.ts';
import {
  filled,
  hash,
  inviteSecret,
  laptop,
  mac,
  must,
  oneTimeKeys,
  phone,
  signEnvelope,
  toPhone,
} from './cast.ts';
import { sessionId, sessionSecret } from './pair-keys.ts';
import { arr, bin, head, map, nil, num, type Raw, raw, txt, yes } from './raw-cbor.ts';
import { type Accepted, type Refused, show } from './show.ts';

const from = laptop.party.id;
const session = sessionId.subarray(0, 8);
const nonce = filled(16, 0x51);
const sealingKey = envelopeKey(mac, new Secret(sessionSecret), sessionId, toPhone);

/** Those of a pairing are from a newcomer to the phone, which has invited it. */
const ends = { inviter: phone.party.id, newcomer: from };

function seal(envelope: Unsealed): Uint8Array {
  const authenticate = (covered: Uint8Array): Uint8Array => {
    switch (envelope.kind) {
      case 'sealed':
        return envelopeMac(mac, sealingKey, covered);
      case 'pairing':
        return pairingMac(mac, inviteSecret, 'to inviter', ends, covered);
      default:
        return signEnvelope(covered);
    }
  };
  return encodeEnvelope(envelope, authenticate, digestsOf(envelope));
}

function digestsOf(envelope: Unsealed): readonly Uint8Array[] {
  return 'attached' in envelope ? envelope.attached.map((bytes) => hash(bytes)) : [];
}

function coveredOf(envelope: Unsealed): Uint8Array {
  const opened = must(decodeEnvelope(seal(envelope)));
  return coveredBytes(opened, digestsOf(envelope));
}

const [one, two, three, four, five, six] = oneTimeKeys(1, 2, 3, 4, 5, 6);
const five_ = [one, two, three, four, five].flatMap((key) => (key === undefined ? [] : [key]));

const sealed = { kind: 'sealed', from, session, counter: 1, body: filled(40, 0x61), attached: [] } as const;
const initial = {
  kind: 'initial',
  from,
  serial: 1_700_000_000_000,
  session,
  body: filled(60, 0x62),
  attached: [],
} as const;
const greeting = {
  kind: 'greeting',
  from,
  serial: 7,
  nonce,
  seenSerial: 0,
  sessions: [],
  versions: [1],
} as const;

const pairing = {
  kind: 'pairing',
  from,
  step: 1,
  tag: inviteTag(mac, inviteSecret),
  body: filled(40, 0x65),
} as const;

const ACCEPTED: readonly (readonly [title: string, envelope: Unsealed])[] = [
  ['sealed', sealed],
  ['sealed with an empty body', { ...sealed, body: new Uint8Array(0) }],
  ['sealed with two attachments', { ...sealed, attached: [filled(30, 0x63), new Uint8Array(0)] }],
  ['sealed with the most attachments', { ...sealed, attached: Array.from({ length: 257 }, () => raw(1)) }],
  ['sealed with the highest counter', { ...sealed, counter: Number.MAX_SAFE_INTEGER }],
  ['initial', initial],
  ['initial with an attachment', { ...initial, attached: [filled(300, 0x64)] }],
  ['greeting without sessions', greeting],
  [
    'greeting with eight sessions and two versions',
    {
      ...greeting,
      seenSerial: 9,
      sessions: Array.from({ length: 8 }, (_, i) => filled(8, i)),
      versions: [1, 2],
    },
  ],
  ['request', { kind: 'request', from, serial: 8, nonce }],
  ['answer with one key', { kind: 'answer', from, serial: 9, nonce, keys: five_.slice(0, 1) }],
  ['answer with five keys', { kind: 'answer', from, serial: 10, nonce, keys: five_ }],
  ['notice', { kind: 'notice', from, serial: 11, entries: [filled(40, 0x64)] }],
  [
    'notice with the most entries',
    { kind: 'notice', from, serial: 12, entries: Array.from({ length: 16 }, () => raw(1)) },
  ],
  ['pairing', pairing],
  ['pairing with an empty body', { ...pairing, body: new Uint8Array(0) }],
  ['pairing given up', { ...pairing, step: 7 }],
];

const VERSION = raw(1);
const id = bin(deviceIdBytes(from));
const mac16 = bin(filled(16, 0));
const sig64 = bin(filled(64, 0));
const envelope = (...items: readonly Raw[]): Raw => concat(VERSION, arr(...items));
const aSealed = (
  change: Partial<Record<'counter' | 'session' | 'body' | 'attached' | 'mac' | 'from', Raw>>,
): Raw =>
  envelope(
    num(1),
    change.from ?? id,
    change.counter ?? num(1),
    change.session ?? bin(session),
    change.body ?? bin(raw(1)),
    change.attached ?? arr(),
    change.mac ?? mac16,
  );
const aPairing = (change: Partial<Record<'from' | 'step' | 'tag' | 'body' | 'mac', Raw>>): Raw =>
  envelope(
    num(7),
    change.from ?? id,
    change.step ?? num(1),
    change.tag ?? bin(filled(8, 1)),
    change.body ?? bin(raw(1)),
    change.mac ?? bin(filled(32, 0)),
  );
const anAnswer = (keys: Raw): Raw => envelope(num(5), id, num(1), bin(nonce), keys, sig64);
const keysOf = (...keys: readonly (Uint8Array | undefined)[]): Raw =>
  arr(...keys.map((key) => bin(key ?? new Uint8Array(0))));
const lowOrder = Uint8Array.from(Buffer.from(LOW_ORDER_X25519[3] ?? '', 'hex'));
const topBit = (one ?? new Uint8Array(0)).slice();
topBit[31] = (topBit[31] ?? 0) | 0x80;
const unreduced = filled(32, 0xff);
unreduced[0] = 0xee + 1;
unreduced[31] = 0x7f;

const MALFORMED_CBOR: readonly (readonly [title: string, bytes: Raw])[] = [
  ['nothing after the version', VERSION],
  ['trailing byte', concat(aSealed({}), raw(0))],
  ['a second item', concat(aSealed({}), num(1))],
  ['counter in more bytes than it needs (one)', aSealed({ counter: raw(0x18, 0x01) })],
  ['counter in more bytes than it needs (two)', aSealed({ counter: raw(0x19, 0x00, 0xff) })],
  ['counter in more bytes than it needs (four)', aSealed({ counter: raw(0x1a, 0, 0, 0xff, 0xff) })],
  [
    'counter in more bytes than it needs (eight)',
    aSealed({ counter: raw(0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff) }),
  ],
  ['length in more bytes than it needs', aSealed({ body: raw(0x58, 0x01, 0x01) })],
  ['counter above 2^53 - 1', aSealed({ counter: raw(0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0) })],
  ['counter above 2^64 / 2', aSealed({ counter: raw(0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) })],
  ['body of indefinite length', aSealed({ body: raw(0x5f, 0x41, 0x01, 0xff) })],
  ['array of indefinite length', concat(VERSION, raw(0x9f, 0x01, 0xff))],
  ['text of indefinite length', aSealed({ body: raw(0x7f, 0x61, 0x61, 0xff) })],
  ['map of indefinite length', aSealed({ body: raw(0xbf, 0x61, 0x61, 0x01, 0xff) })],
  ['reserved length (28)', aSealed({ body: raw(0x5c) })],
  ['tag', aSealed({ counter: concat(raw(0xc1), num(1)) })],
  ['tag of a big number', aSealed({ counter: concat(raw(0xc2), bin(raw(1))) })],
  ['half-precision float', aSealed({ counter: raw(0xf9, 0x3c, 0x00) })],
  ['single-precision float', aSealed({ counter: raw(0xfa, 0x3f, 0x80, 0, 0) })],
  ['double-precision float', aSealed({ counter: raw(0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0) })],
  ['not a number', aSealed({ counter: raw(0xf9, 0x7e, 0x00) })],
  ['undefined', aSealed({ counter: raw(0xf7) })],
  ['simple value 16', aSealed({ counter: raw(0xf0) })],
  ['simple value in two bytes', aSealed({ counter: raw(0xf8, 0x20) })],
  ['break without a beginning', aSealed({ counter: raw(0xff) })],
  ['text that is not UTF-8', aSealed({ body: raw(0x62, 0xc3, 0x28) })],
  ['text with a surrogate', aSealed({ body: raw(0x63, 0xed, 0xa0, 0x80) })],
  ['text in longer UTF-8 than it needs', aSealed({ body: raw(0x62, 0xc0, 0x80) })],
  ['map keys unsorted', aSealed({ body: map([txt('b'), num(1)], [txt('a'), num(1)]) })],
  [
    'map keys sorted by bytes and not by length',
    aSealed({ body: map([txt('aa'), num(1)], [txt('b'), num(1)]) }),
  ],
  ['map key twice', aSealed({ body: map([txt('a'), num(1)], [txt('a'), num(2)]) })],
  ['map key that is no text', aSealed({ body: map([num(1), num(1)]) })],
  ['array that promises more than there is', concat(VERSION, head(4, 1000), num(1))],
  ['array that promises 2^32 items', concat(VERSION, head(4, 2 ** 32), num(1))],
  ['bytes that promise more than there is', concat(VERSION, arr(num(1), head(2, 1000)))],
];

const REFUSED: readonly (readonly [title: string, bytes: Raw, refused: string, zeros?: number])[] = [
  ['empty', raw(), 'envelope-empty'],
  ['version 0', concat(raw(0), arr(num(1))), 'envelope-unknown-version'],
  ['version 2', concat(raw(2), arr(num(1))), 'envelope-unknown-version'],
  ['version 255 and nothing else', raw(255), 'envelope-unknown-version'],
  ['one byte too large', VERSION, 'cbor-too-large', MAX_ENVELOPE_BYTES],
  ['too many items', concat(VERSION, head(4, 300)), 'cbor-too-large', 300],
  [
    'an array in an array in an array in an array',
    concat(VERSION, arr(arr(arr(arr(num(1)))))),
    'cbor-too-deep',
  ],
  [
    'a thousand arrays in each other',
    concat(VERSION, new Uint8Array(1000).fill(0x81), num(1)),
    'cbor-too-deep',
  ],
  ...MALFORMED_CBOR.map(([title, bytes]) => [title, bytes, 'cbor-malformed'] as const),
  ['not an array', concat(VERSION, num(1)), 'envelope-malformed'],
  ['a map', concat(VERSION, map([txt('a'), num(1)])), 'envelope-malformed'],
  ['an empty array', envelope(), 'envelope-malformed'],
  ['a kind that is no number', envelope(txt('1'), id, num(1)), 'envelope-malformed'],
  ['kind 0', envelope(num(0), id, num(1)), 'envelope-unknown-kind'],
  ['kind 8', envelope(num(8), id, num(1)), 'envelope-unknown-kind'],
  ['a negative kind', envelope(head(1, 0), id, num(1)), 'envelope-unknown-kind'],
  ['a kind alone', envelope(num(1)), 'envelope-malformed'],
  ['sender of 19 bytes', aSealed({ from: bin(filled(19, 1)) }), 'envelope-malformed'],
  ['sender of 21 bytes', aSealed({ from: bin(filled(21, 1)) }), 'envelope-malformed'],
  ['sender as text', aSealed({ from: txt(from) }), 'envelope-malformed'],
  ['counter 0', aSealed({ counter: num(0) }), 'envelope-malformed'],
  ['negative counter', aSealed({ counter: head(1, 0) }), 'envelope-malformed'],
  ['counter as bytes', aSealed({ counter: bin(raw(1)) }), 'envelope-malformed'],
  ['session of 7 bytes', aSealed({ session: bin(filled(7, 1)) }), 'envelope-malformed'],
  ['session of 9 bytes', aSealed({ session: bin(filled(9, 1)) }), 'envelope-malformed'],
  ['body null', aSealed({ body: nil }), 'envelope-malformed'],
  ['body as text', aSealed({ body: txt('a') }), 'envelope-malformed'],
  ['attached null', aSealed({ attached: nil }), 'envelope-malformed'],
  ['attached not bytes', aSealed({ attached: arr(num(1)) }), 'envelope-malformed'],
  [
    '258 attachments',
    aSealed({ attached: arr(...Array.from({ length: 258 }, () => bin(raw()))) }),
    'envelope-malformed',
  ],
  ['MAC of 15 bytes', aSealed({ mac: bin(filled(15, 0)) }), 'envelope-malformed'],
  ['MAC of 17 bytes', aSealed({ mac: bin(filled(17, 0)) }), 'envelope-malformed'],
  ['MAC of 64 bytes', aSealed({ mac: sig64 }), 'envelope-malformed'],
  [
    'sealed with one item more',
    envelope(num(1), id, num(1), bin(session), bin(raw(1)), arr(), mac16, nil),
    'envelope-malformed',
  ],
  [
    'sealed without its MAC',
    envelope(num(1), id, num(1), bin(session), bin(raw(1)), arr()),
    'envelope-malformed',
  ],
  [
    'initial with a MAC',
    envelope(num(2), id, num(1), bin(session), bin(raw(1)), arr(), mac16),
    'envelope-malformed',
  ],
  [
    'initial with serial 0',
    envelope(num(2), id, num(0), bin(session), bin(raw(1)), arr(), sig64),
    'envelope-malformed',
  ],
  [
    'greeting with a nonce of 15 bytes',
    envelope(num(3), id, num(1), bin(filled(15, 0)), num(0), arr(), arr(num(1)), sig64),
    'envelope-malformed',
  ],
  [
    'greeting that has seen a negative serial',
    envelope(num(3), id, num(1), bin(nonce), head(1, 0), arr(), arr(num(1)), sig64),
    'envelope-malformed',
  ],
  [
    'greeting with nine sessions',
    envelope(
      num(3),
      id,
      num(1),
      bin(nonce),
      num(0),
      arr(...Array.from({ length: 9 }, () => bin(session))),
      arr(num(1)),
      sig64,
    ),
    'envelope-malformed',
  ],
  [
    'greeting with a session of 9 bytes',
    envelope(num(3), id, num(1), bin(nonce), num(0), arr(bin(filled(9, 0))), arr(num(1)), sig64),
    'envelope-malformed',
  ],
  [
    'greeting without a version',
    envelope(num(3), id, num(1), bin(nonce), num(0), arr(), arr(), sig64),
    'envelope-malformed',
  ],
  [
    'greeting with 17 versions',
    envelope(
      num(3),
      id,
      num(1),
      bin(nonce),
      num(0),
      arr(),
      arr(...Array.from({ length: 17 }, () => num(1))),
      sig64,
    ),
    'envelope-malformed',
  ],
  [
    'greeting with a signature of 63 bytes',
    envelope(num(3), id, num(1), bin(nonce), num(0), arr(), arr(num(1)), bin(filled(63, 0))),
    'envelope-malformed',
  ],
  [
    'request with a nonce of 17 bytes',
    envelope(num(4), id, num(1), bin(filled(17, 0)), sig64),
    'envelope-malformed',
  ],
  ['request with true for a nonce', envelope(num(4), id, num(1), yes, sig64), 'envelope-malformed'],
  ['request with one item more', envelope(num(4), id, num(1), bin(nonce), sig64, nil), 'envelope-malformed'],
  ['answer without keys', anAnswer(arr()), 'envelope-malformed'],
  ['notice without entries', envelope(num(6), id, num(1), arr(), sig64), 'envelope-malformed'],
  [
    'notice with 17 entries',
    envelope(num(6), id, num(1), arr(...Array.from({ length: 17 }, () => bin(raw(1)))), sig64),
    'envelope-malformed',
  ],
  ['notice with an entry as text', envelope(num(6), id, num(1), arr(txt('a')), sig64), 'envelope-malformed'],
  ['notice with serial 0', envelope(num(6), id, num(0), arr(bin(raw(1))), sig64), 'envelope-malformed'],
  ['notice with a MAC', envelope(num(6), id, num(1), arr(bin(raw(1))), mac16), 'envelope-malformed'],
  [
    'notice with one item more',
    envelope(num(6), id, num(1), arr(bin(raw(1))), sig64, nil),
    'envelope-malformed',
  ],
  ['pairing with step 0', aPairing({ step: num(0) }), 'envelope-malformed'],
  ['pairing with step 8', aPairing({ step: num(8) }), 'envelope-malformed'],
  ['pairing with a tag of 7 bytes', aPairing({ tag: bin(filled(7, 0)) }), 'envelope-malformed'],
  ['pairing with a tag of 9 bytes', aPairing({ tag: bin(filled(9, 0)) }), 'envelope-malformed'],
  ['pairing with a body as text', aPairing({ body: txt('a') }), 'envelope-malformed'],
  ['pairing with a MAC of 16 bytes', aPairing({ mac: mac16 }), 'envelope-malformed'],
  ['pairing with a signature', aPairing({ mac: sig64 }), 'envelope-malformed'],
  ['pairing with a sender of 19 bytes', aPairing({ from: bin(filled(19, 1)) }), 'envelope-malformed'],
  [
    'pairing with one item more',
    envelope(num(7), id, num(1), bin(filled(8, 1)), bin(raw(1)), bin(filled(32, 0)), nil),
    'envelope-malformed',
  ],
  ['answer with six keys', anAnswer(keysOf(one, two, three, four, five, six)), 'envelope-malformed'],
  ['answer with one key twice', anAnswer(keysOf(one, one)), 'envelope-malformed'],
  ['answer with a key of 31 bytes', anAnswer(arr(bin(filled(31, 9)))), 'key-malformed'],
  ['answer with a key of 33 bytes', anAnswer(arr(bin(filled(33, 9)))), 'key-malformed'],
  ['answer with a key whose top bit is set', anAnswer(keysOf(topBit)), 'key-malformed'],
  ['answer with a key that is not reduced', anAnswer(keysOf(unreduced)), 'key-malformed'],
  ['answer with the key of zeros', anAnswer(arr(bin(filled(32, 0)))), 'key-low-order'],
  ['answer with a key of order 8 behind a sound one', anAnswer(keysOf(one, lowOrder)), 'key-low-order'],
  [
    'answer with a low-order key whose top bit is set',
    anAnswer(arr(bin(Uint8Array.of(...filled(31, 0), 0x80)))),
    'key-low-order',
  ],
];

/** Every proper beginning of an envelope, by the boundary of the field at which it ends. */
function truncated(): Refused[] {
  const whole = aSealed({});
  const names = ['head', 'kind', 'sender', 'counter', 'session', 'body', 'attachments', 'MAC'];
  const fields = [head(4, 7), num(1), id, num(1), bin(session), bin(raw(1)), arr(), mac16];
  let end = 1;
  return fields.flatMap((field, i) => {
    end += field.length;
    const cuts = i === fields.length - 1 ? [end - 1] : [end, end + 1].filter((cut) => cut < whole.length);
    return cuts.map((cut) => ({
      title: `cut ${cut - end} bytes after the ${names[i]}`,
      bytes: toHex(whole.subarray(0, cut)),
      refused: 'cbor-malformed',
    }));
  });
}

export function envelopeVectors(): {
  readonly accept: readonly Accepted[];
  readonly refuse: readonly Refused[];
} {
  return {
    accept: ACCEPTED.map(([title, unsealed]) => {
      const bytes = seal(unsealed);
      const { envelope: decoded } = must(decodeEnvelope(bytes));
      return { title, bytes: toHex(bytes), covered: toHex(coveredOf(unsealed)), envelope: show(decoded) };
    }),
    refuse: [
      ...REFUSED.map(([title, bytes, refused, zeros]) => ({
        title,
        bytes: toHex(bytes),
        ...(zeros === undefined ? {} : { zeros }),
        refused,
      })),
      ...truncated(),
    ],
  };
}
