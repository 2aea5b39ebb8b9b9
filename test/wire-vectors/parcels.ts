/**
 * What `test/vectors/parcels.json` holds: size classes, padded texts, cores, and parcels with every item. One list
 * of cases, which is why it is long.
 */
import { concat, toHex, uint32 } from '../../src/entities/bytes.ts';
import type { GroupId } from '../../src/entities/roster/entry.ts';
import type { BatchItem, HelloItem, Item } from '../../src/entities/wire/items.ts';
import { pad, sizeClass } from '../../src/entities/wire/padding.ts';
import {
  decodeCore,
  decodeParcel,
  encodeCore,
  encodeParcel,
  type Parcel,
} from '../../src/entities/wire/parcel.ts';
import { filled, must, oneTimeKeys, toPhone } from './cast.ts';
import { arr, bin, head, nil, no, num, type Raw, raw, txt, yes } from './raw-cbor.ts';
import { type Accepted, type Refused, refusedVector, type Shown, show } from './show.ts';

const salt = filled(16, 0x70);
const roster = filled(32, 0x71);
const stream = filled(16, 0x72);
const run = filled(8, 0x73);
const messageId = filled(16, 0x74);
const nonce = filled(16, 0x75);
const keys = oneTimeKeys(1, 2, 3, 4, 5);

const content = {
  kind: 'content',
  id: messageId,
  sentAt: 1_700_000_000_000,
  type: 'text/plain',
  thread: null,
  group: null,
  payload: filled(5, 0x68),
} as const;
const batch: BatchItem = {
  kind: 'batch',
  stream,
  run,
  after: new Uint8Array(0),
  moved: false,
  low: 1,
  first: 1,
  records: [content],
};
const hello: HelloItem = {
  kind: 'hello',
  nonce,
  answering: null,
  received: null,
  sending: null,
  heads: [],
  keysLeft: 0,
  heard: [],
};
const ack = { kind: 'ack', stream, through: 3, run, skipped: [], refused: [], need: 'nothing' } as const;
const kitchen = '9'.repeat(64) as GroupId;
const group = {
  kind: 'group',
  id: messageId,
  session: filled(32, 0x76),
  digest: filled(32, 0x77),
} as const;

const ITEMS: readonly (readonly [title: string, items: readonly Item[], secret?: Uint8Array])[] = [
  ['no items', []],
  ['no items, with the secret of a session that begins', [], filled(32, 0x41)],
  ['one payload', [batch]],
  [
    'a batch of every kind of record, numbered again',
    [
      {
        ...batch,
        moved: true,
        after: filled(8, 0x7e),
        low: 7,
        first: 9,
        records: [
          { ...content, payload: new Uint8Array(0) },
          { kind: 'skip' },
          { ...content, type: '', thread: 'dinner', group: kitchen },
          { ...content, group: 'all' },
          group,
        ],
      },
    ],
  ],
  [
    'labels of 255 characters',
    [{ ...batch, records: [{ ...content, type: 't'.repeat(255), thread: 'ü'.repeat(255) }] }],
  ],
  ['acknowledgement', [ack]],
  ['acknowledgement that reports a gap', [{ ...ack, skipped: [1, 2], refused: [3], need: 'missing' }]],
  ['acknowledgement of nothing', [{ ...ack, through: 0 }]],
  ['hello of a device that holds nothing', [hello]],
  [
    'hello with all it can say',
    [
      {
        ...hello,
        answering: filled(16, 0x78),
        received: {
          stream,
          through: 12,
          line: [
            [run, 1],
            [filled(8, 0x79), 8],
          ],
          skipped: [3, 9],
        },
        sending: { stream: filled(16, 0x7a), low: 4, next: 9 },
        heads: [{ author: filled(20, 0x7f), sequence: 3, hash: filled(32, 0x7b) }],
        keysLeft: 5,
        heard: [{ device: filled(20, 0x82), ago: 86_400_000 }],
      },
    ],
  ],
  ['keys', [{ kind: 'keys', keys }]],
  ['wanted', [{ kind: 'wanted', hashes: [filled(32, 1), filled(32, 2)] }]],
  ['entries', [{ kind: 'entries', entries: [filled(3, 1), new Uint8Array(0)] }]],
  [
    'keys of group sessions',
    [
      {
        kind: 'group-keys',
        keys: [
          { circle: 'all', session: filled(32, 0x76), key: filled(165, 0x01) },
          { circle: kitchen, session: filled(32, 0x80), key: filled(165, 0x02) },
        ],
      },
    ],
  ],
  ['group sessions that are wanted', [{ kind: 'group-wanted', sessions: [filled(32, 0x76)] }]],
  [
    'group sessions that are denied',
    [
      {
        kind: 'group-denied',
        denied: [
          { session: filled(32, 0x76), reason: 'revoked' },
          { session: filled(32, 0x80), reason: 'not-in-group' },
          { session: filled(32, 0x81), reason: 'unknown-session' },
        ],
      },
    ],
  ],
  ['several items at once', [hello, { kind: 'keys', keys: keys.slice(0, 2) }, ack, batch]],
];

const parcelOf = (items: Raw, change: Partial<Record<'context' | 'roster' | 'secret', Raw>> = {}): Raw =>
  arr(change.context ?? bin(toPhone), change.roster ?? bin(roster), change.secret ?? nil, items);
const one = (...fields: readonly Raw[]): Raw => parcelOf(arr(arr(...fields)));
const aContent = (
  change: Partial<Record<'id' | 'sentAt' | 'type' | 'thread' | 'group' | 'payload', Raw>>,
): Raw =>
  arr(
    num(1),
    change.id ?? bin(messageId),
    change.sentAt ?? num(1),
    change.type ?? txt('a'),
    change.thread ?? nil,
    change.group ?? nil,
    change.payload ?? bin(raw(1)),
  );
const aBatch = (
  change: Partial<Record<'stream' | 'run' | 'after' | 'moved' | 'low' | 'first' | 'records', Raw>>,
): Raw =>
  one(
    num(1),
    change.stream ?? bin(stream),
    change.run ?? bin(run),
    change.after ?? bin(raw()),
    change.moved ?? no,
    change.low ?? num(1),
    change.first ?? num(1),
    change.records ?? arr(arr(num(0))),
  );
const anAck = (change: Partial<Record<'stream' | 'through' | 'run' | 'skipped' | 'need', Raw>>): Raw =>
  one(
    num(2),
    change.stream ?? bin(stream),
    change.through ?? num(1),
    change.run ?? bin(run),
    change.skipped ?? arr(),
    arr(),
    change.need ?? num(0),
  );
const aHello = (
  change: Partial<
    Record<'nonce' | 'answering' | 'received' | 'sending' | 'heads' | 'keysLeft' | 'heard', Raw>
  >,
): Raw =>
  one(
    num(3),
    change.nonce ?? bin(nonce),
    change.answering ?? nil,
    change.received ?? nil,
    change.sending ?? nil,
    change.heads ?? arr(),
    change.keysLeft ?? num(0),
    change.heard ?? arr(),
  );
const aGroupKey = (change: Partial<Record<'circle' | 'session' | 'key', Raw>>): Raw =>
  one(
    num(7),
    arr(arr(change.circle ?? txt('all'), change.session ?? bin(roster), change.key ?? bin(filled(165, 1)))),
  );
const aHead = (change: Partial<Record<'author' | 'sequence' | 'hash', Raw>>): Raw =>
  arr(change.author ?? bin(filled(20, 1)), change.sequence ?? num(1), change.hash ?? bin(roster));
const times = (count: number, item: Raw): Raw => arr(...Array.from({ length: count }, () => item));
const b16 = bin(stream);
const PAYLOAD = 64 * 1024;

const MALFORMED_ITEMS: readonly (readonly [title: string, text: Raw])[] = [
  ['an item without a kind', parcelOf(arr(arr()))],
  ['an item whose kind is text', one(txt('1'))],
  ['an item whose kind is negative', one(head(1, 0))],
  ['batch with a stream of 15 bytes', aBatch({ stream: bin(filled(15, 1)) })],
  ['batch with a run of 9 bytes', aBatch({ run: bin(filled(9, 1)) })],
  ['batch after a run of 7 bytes', aBatch({ after: bin(filled(7, 1)) })],
  ['batch after null', aBatch({ after: nil })],
  ['batch moved as a number', aBatch({ moved: num(1) })],
  ['batch with low 0', aBatch({ low: num(0) })],
  ['batch that begins below its low', aBatch({ low: num(3), first: num(2) })],
  ['batch without records', aBatch({ records: arr() })],
  ['batch with 1025 records', aBatch({ records: times(1025, arr(num(0))) })],
  ['batch that counts past 2^53 - 1', aBatch({ first: num(Number.MAX_SAFE_INTEGER) })],
  ['batch with a record that is no array', aBatch({ records: arr(num(0)) })],
  ['batch with a record without a kind', aBatch({ records: arr(arr()) })],
  [
    'batch with one item more',
    one(num(1), b16, bin(run), bin(raw()), no, num(1), num(1), arr(arr(num(0))), nil),
  ],
  ['skip with something in it', aBatch({ records: arr(arr(num(0), nil)) })],
  ['content with an id of 15 bytes', aBatch({ records: arr(aContent({ id: bin(filled(15, 1)) })) })],
  ['content sent before time began', aBatch({ records: arr(aContent({ sentAt: head(1, 0) })) })],
  [
    'content with a type of 256 characters',
    aBatch({ records: arr(aContent({ type: txt('a'.repeat(256)) })) }),
  ],
  ['content without a type', aBatch({ records: arr(aContent({ type: nil })) })],
  [
    'content with a thread of 256 characters',
    aBatch({ records: arr(aContent({ thread: txt('a'.repeat(256)) })) }),
  ],
  ['content for a circle that is none', aBatch({ records: arr(aContent({ group: txt('kitchen') })) })],
  ['content with a number for a group', aBatch({ records: arr(aContent({ group: num(1) })) })],
  ['content with text for a payload', aBatch({ records: arr(aContent({ payload: txt('a') })) })],
  [
    'content of 64 KiB and one byte',
    aBatch({ records: arr(aContent({ payload: bin(filled(PAYLOAD + 1, 0)) })) }),
  ],
  [
    'two contents of 64 KiB and one byte together',
    aBatch({ records: arr(aContent({}), aContent({ payload: bin(filled(PAYLOAD, 0)) })) }),
  ],
  [
    'group record with a session of 31 bytes',
    aBatch({ records: arr(arr(num(2), b16, bin(filled(31, 1)), bin(roster))) }),
  ],
  [
    'group record with a digest of 33 bytes',
    aBatch({ records: arr(arr(num(2), b16, bin(roster), bin(filled(33, 1)))) }),
  ],
  ['257 group records', aBatch({ records: times(257, arr(num(2), b16, bin(roster), bin(roster))) })],
  [
    'group record with one field more',
    aBatch({ records: arr(arr(num(2), b16, bin(roster), bin(roster), nil)) }),
  ],
  ['a group key for a circle that is none', aGroupKey({ circle: txt('kitchen') })],
  ['a group key without a circle', aGroupKey({ circle: nil })],
  ['a group key of a session of 31 bytes', aGroupKey({ session: bin(filled(31, 1)) })],
  ['a group key of 257 bytes', aGroupKey({ key: bin(filled(257, 1)) })],
  ['a group key with one field more', one(num(7), arr(arr(txt('all'), bin(roster), bin(roster), nil)))],
  ['65 group keys', one(num(7), times(65, arr(txt('all'), bin(roster), bin(roster))))],
  ['a wanted group session of 33 bytes', one(num(8), arr(bin(filled(33, 1))))],
  ['65 wanted group sessions', one(num(8), times(65, bin(roster)))],
  ['a denial without a reason', one(num(9), arr(arr(bin(roster), nil)))],
  ['a denial for an unknown reason', one(num(9), arr(arr(bin(roster), num(3))))],
  ['a denial with one field more', one(num(9), arr(arr(bin(roster), num(0), nil)))],
  ['65 denials', one(num(9), times(65, arr(bin(roster), num(0))))],
  ['ack with a stream of 17 bytes', anAck({ stream: bin(filled(17, 1)) })],
  ['ack through -1', anAck({ through: head(1, 0) })],
  ['ack with a run of 7 bytes', anAck({ run: bin(filled(7, 1)) })],
  ['ack with 1025 skipped', anAck({ skipped: times(1025, num(1)) })],
  ['ack with text among the skipped', anAck({ skipped: arr(txt('1')) })],
  ['ack with null for a need', anAck({ need: nil })],
  ['ack with an unknown need', anAck({ need: num(3) })],
  ['hello with a nonce of 15 bytes', aHello({ nonce: bin(filled(15, 1)) })],
  ['hello answering true', aHello({ answering: yes })],
  ['hello received as a number', aHello({ received: num(1) })],
  [
    'hello with a line of 65 steps',
    aHello({ received: arr(b16, num(1), times(65, arr(bin(run), num(1))), arr()) }),
  ],
  [
    'hello with a step of three',
    aHello({ received: arr(b16, num(1), arr(arr(bin(run), num(1), nil)), arr()) }),
  ],
  ['hello with text among the skipped', aHello({ received: arr(b16, num(1), arr(), arr(txt('1'))) })],
  ['hello without the skipped', aHello({ received: arr(b16, num(1), arr()) })],
  ['hello that sends from 0 on', aHello({ sending: arr(b16, num(0), num(1)) })],
  ['hello whose next is below its low', aHello({ sending: arr(b16, num(3), num(2)) })],
  ['hello with 513 heads', aHello({ heads: times(513, aHead({})) })],
  ['hello with a bare hash for a head', aHello({ heads: arr(bin(roster)) })],
  ['hello with a head of four', aHello({ heads: arr(arr(bin(raw(1)), num(1), bin(roster), nil)) })],
  ['hello with a head of a hash of 31 bytes', aHello({ heads: arr(aHead({ hash: bin(filled(31, 1)) })) })],
  [
    'hello with a head of an author of 65 bytes',
    aHello({ heads: arr(aHead({ author: bin(filled(65, 1)) })) }),
  ],
  ['hello with a head at a negative place', aHello({ heads: arr(aHead({ sequence: head(1, 0) })) })],
  ['hello with fewer than no keys', aHello({ keysLeft: head(1, 0) })],
  ['hello that heard of an id of 19 bytes', aHello({ heard: arr(arr(bin(filled(19, 1)), num(1))) })],
  ['hello that heard at a negative time', aHello({ heard: arr(arr(bin(filled(20, 1)), head(1, 0))) })],
  ['hello that heard of three fields', aHello({ heard: arr(arr(bin(filled(20, 1)), num(1), nil)) })],
  ['hello that heard of 513', aHello({ heard: times(513, arr(bin(filled(20, 1)), num(1))) })],
  ['hello without those it heard of', aHello({ heard: nil })],
  ['keys with one item more', one(num(4), arr(bin(keys[0] ?? raw())), nil)],
  ['a wanted hash of 31 bytes', one(num(6), arr(bin(filled(31, 1))))],
  ['513 wanted hashes', one(num(6), times(513, bin(filled(32, 1))))],
  ['513 entries', one(num(5), times(513, bin(raw(1))))],
  ['entries that are no bytes', one(num(5), arr(num(1)))],
];

const REFUSED: readonly (readonly [title: string, text: Raw, refused: string])[] = [
  ['not CBOR', raw(0xff), 'cbor-malformed'],
  ['trailing byte', concat(parcelOf(arr()), raw(0)), 'cbor-malformed'],
  ['seven arrays in each other', parcelOf(arr(arr(num(99), arr(arr(arr(arr(num(1)))))))), 'cbor-too-deep'],
  ['20001 values', one(num(99), times(20_000, num(0))), 'cbor-too-large'],
  ['more than 150 KiB', one(num(99), bin(filled(150 * 1024, 0))), 'cbor-too-large'],
  ['a number', num(1), 'parcel-malformed'],
  ['three fields', arr(bin(toPhone), bin(roster), nil), 'parcel-malformed'],
  ['five fields', arr(bin(toPhone), bin(roster), nil, arr(), nil), 'parcel-malformed'],
  ['context of 31 bytes', parcelOf(arr(), { context: bin(filled(31, 1)) }), 'parcel-malformed'],
  ['roster of 33 bytes', parcelOf(arr(), { roster: bin(filled(33, 1)) }), 'parcel-malformed'],
  ['secret of 16 bytes', parcelOf(arr(), { secret: bin(filled(16, 1)) }), 'parcel-malformed'],
  ['items that are no list', parcelOf(nil), 'parcel-malformed'],
  ['an item that is no list', parcelOf(arr(num(1))), 'parcel-malformed'],
  ['17 items', parcelOf(times(17, arr(num(99)))), 'parcel-malformed'],
  ['keys without a key', one(num(4), arr()), 'envelope-malformed'],
  ['six keys', one(num(4), times(6, bin(filled(32, 9)))), 'envelope-malformed'],
  ['a key twice', one(num(4), times(2, bin(keys[0] ?? raw()))), 'envelope-malformed'],
  ['a key of low order', one(num(4), arr(bin(filled(32, 0)))), 'key-low-order'],
  ['a key of 31 bytes', one(num(4), arr(bin(filled(31, 9)))), 'key-malformed'],
  ...MALFORMED_ITEMS.map(([title, text]) => [title, text, 'item-malformed'] as const),
];

/** Kinds that a later version may send: passed over, or refused one by one, and the rest of the parcel counts. */
const UNKNOWN: readonly (readonly [title: string, text: Raw])[] = [
  ['an item of a kind from the future', one(num(77), txt('whatever'))],
  [
    'a record of a kind from the future',
    aBatch({ records: arr(arr(num(0)), arr(num(3), nil), arr(num(0))) }),
  ],
];

const text = raw(0xc0, 0xff, 0xee);
const PADDING: readonly (readonly [title: string, padded: Raw])[] = [
  ['nothing at all', raw()],
  ['three bytes', raw(0, 0, 0)],
  ['no padding', concat(uint32(3), text)],
  ['one byte too few', pad(text).subarray(0, 255)],
  ['one byte too many', concat(pad(text), raw(0))],
  ['the next class', concat(pad(text), new Uint8Array(256))],
  ['a byte that is not zero at the end', concat(pad(text).subarray(0, 255), raw(1))],
  ['a byte that is not zero behind the text', concat(uint32(3), text, raw(1), new Uint8Array(248))],
  ['a length that reaches past the end', concat(uint32(253), new Uint8Array(252))],
  ['a length of 2^32 - 1', concat(uint32(0xffff_ffff), new Uint8Array(252))],
];

const key32 = filled(32, 0x7d);
const CORES: readonly (readonly [title: string, core: Raw, refused: string])[] = [
  ['no array', bin(salt), 'parcel-malformed'],
  ['an empty array', arr(), 'parcel-malformed'],
  ['a salt alone', arr(bin(salt)), 'parcel-malformed'],
  ['a salt of 15 bytes', arr(bin(filled(15, 1)), bin(text)), 'parcel-malformed'],
  ['null inside', arr(bin(salt), nil), 'parcel-malformed'],
  ['three fields', arr(bin(salt), bin(key32), bin(key32)), 'parcel-malformed'],
  ['five fields', arr(bin(salt), bin(key32), bin(key32), bin(key32), nil), 'parcel-malformed'],
  ['a key of 31 bytes', arr(bin(salt), bin(filled(31, 1)), bin(key32), bin(key32)), 'parcel-malformed'],
  ['a digest of 31 bytes', arr(bin(salt), bin(key32), bin(filled(31, 1)), bin(key32)), 'parcel-malformed'],
  ['a context of 31 bytes', arr(bin(salt), bin(key32), bin(key32), bin(filled(31, 1))), 'parcel-malformed'],
  ['an array inside', arr(bin(salt), arr()), 'cbor-too-deep'],
  ['more than 4160 bytes', arr(bin(salt), bin(filled(4160, 0))), 'cbor-too-large'],
  ['trailing byte', concat(arr(bin(salt), bin(text)), raw(0)), 'cbor-malformed'],
];

function accepted(title: string, parcel: Uint8Array): Accepted {
  return { title, bytes: toHex(parcel), parcel: show(must(decodeParcel(parcel))) };
}

export interface ParcelVectors {
  readonly sizeClasses: readonly (readonly [length: number, size: number])[];
  readonly padding: {
    readonly accept: readonly { readonly text: string; readonly padded: string }[];
    readonly refuse: readonly Accepted[];
  };
  readonly cores: { readonly accept: readonly Accepted[]; readonly refuse: readonly Refused[] };
  readonly parcels: { readonly accept: readonly Accepted[]; readonly refuse: readonly Refused[] };
  readonly note: Shown;
}

export function parcelVectors(): ParcelVectors {
  const lengths = [
    0, 1, 256, 257, 512, 513, 1024, 1025, 1088, 1089, 2048, 2049, 4096, 4097, 65_536, 100_000, 153_600,
  ];
  const cores = [
    ['a parcel inside', encodeCore(salt, { inside: pad(text) })],
    ['a parcel beside', encodeCore(salt, { key: key32, digest: roster, context: toPhone })],
  ] as const;
  return {
    note: 'parcels are shown padded; of the refused ones only the text inside is shown',
    sizeClasses: lengths.map((length) => [length, sizeClass(length)] as const),
    padding: {
      accept: [new Uint8Array(0), text, filled(252, 1), filled(253, 1)].map((plain) => ({
        text: toHex(plain),
        padded: toHex(pad(plain)),
      })),
      refuse: PADDING.map(([title, padded]) => ({ title, bytes: toHex(padded), refused: 'parcel-padding' })),
    },
    cores: {
      accept: cores.map(([title, core]) => ({
        title,
        bytes: toHex(core),
        core: show(must(decodeCore(core))),
      })),
      refuse: CORES.map(([title, core, refused]) => refusedVector(title, core, refused)),
    },
    parcels: {
      accept: [
        ...ITEMS.map(([title, items, secret]) => {
          const parcel: Parcel = { context: toPhone, roster, secret: secret ?? null, items };
          return accepted(title, encodeParcel(parcel));
        }),
        ...UNKNOWN.map(([title, unknown]) => accepted(title, pad(unknown))),
      ],
      refuse: REFUSED.map(([title, refusedText, refused]) => refusedVector(title, refusedText, refused)),
    },
  };
}
