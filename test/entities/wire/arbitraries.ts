/** Anything that the wire format can say, for property tests. */
import fc, { type Arbitrary } from 'fast-check';
import { toHex } from '../../../src/entities/bytes.ts';
import { deviceIdFromBytes } from '../../../src/entities/device-id.ts';
import { type AgreementKey, parseAgreementKey } from '../../../src/entities/keys.ts';
import { type Circle, EVERYBODY } from '../../../src/entities/roster/circle.ts';
import type { GroupId } from '../../../src/entities/roster/entry.ts';
import type { Unsealed } from '../../../src/entities/wire/envelope.ts';
import type { GroupText } from '../../../src/entities/wire/group-text.ts';
import type { Item } from '../../../src/entities/wire/items.ts';
import type { Parcel } from '../../../src/entities/wire/parcel.ts';
import type { StreamRecord } from '../../../src/entities/wire/records.ts';

export const bytes = (length: number): Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const upTo = (maxLength: number): Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const count = (min = 0): Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min, max: 300 }),
    fc.integer({ min, max: 2 ** 31 - 1 }),
    fc.maxSafeInteger().map((n) => Math.max(min, Math.abs(n))),
  );
const label = fc.string({ unit: 'binary', maxLength: 60 });
const labelOrNull = fc.option(label);

const deviceId = bytes(20).map((id) => {
  const parsed = deviceIdFromBytes(id);
  if (parsed === undefined) throw new Error('twenty bytes are an id');
  return parsed;
});

const key: Arbitrary<AgreementKey> = bytes(32)
  .map((candidate) => {
    candidate[31] = (candidate[31] ?? 0) & 0x7f;
    return parseAgreementKey(candidate);
  })
  .filter((parsed) => 'ok' in parsed)
  .map((parsed) => {
    if ('refused' in parsed) throw new Error('filtered above');
    return parsed.ok;
  });
const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 5, selector: toHex });

const head = { from: deviceId };
const session = bytes(8);
const attached = fc.array(upTo(100), { maxLength: 5 });

export const anyEnvelope: Arbitrary<Unsealed> = fc.oneof(
  fc.record({
    ...head,
    kind: fc.constant('sealed' as const),
    counter: count(1),
    session,
    body: upTo(300),
    attached,
  }),
  fc.record({
    ...head,
    kind: fc.constant('initial' as const),
    serial: count(1),
    session,
    body: upTo(300),
    attached,
  }),
  fc.record({
    ...head,
    kind: fc.constant('greeting' as const),
    serial: count(1),
    nonce: bytes(16),
    seenSerial: count(),
    sessions: fc.array(session, { maxLength: 8 }),
    versions: fc.array(count(), { minLength: 1, maxLength: 16 }),
  }),
  fc.record({ ...head, kind: fc.constant('request' as const), serial: count(1), nonce: bytes(16) }),
  fc.record({ ...head, kind: fc.constant('answer' as const), serial: count(1), nonce: bytes(16), keys }),
  fc.record({
    ...head,
    kind: fc.constant('notice' as const),
    serial: count(1),
    entries: fc.array(upTo(300), { minLength: 1, maxLength: 16 }),
  }),
  fc.record({
    ...head,
    kind: fc.constant('pairing' as const),
    step: fc.constantFrom(1, 2, 3, 4, 5, 6, 7),
    tag: bytes(8),
    body: upTo(300),
  }),
);

const circle: Arbitrary<Circle> = fc.oneof(
  fc.constant(EVERYBODY),
  bytes(32).map((id) => toHex(id) as GroupId),
);

const record: Arbitrary<StreamRecord> = fc.oneof(
  fc.constant({ kind: 'skip' as const }),
  fc.record({
    kind: fc.constant('content' as const),
    id: bytes(16),
    sentAt: count(),
    type: label,
    thread: labelOrNull,
    group: fc.oneof(fc.constant(null), circle),
    payload: upTo(200),
  }),
  fc.record({
    kind: fc.constant('group' as const),
    id: bytes(16),
    session: bytes(32),
    digest: bytes(32),
  }),
);

const stream = bytes(16);
const run = bytes(8);
const numbers = fc.array(count(), { maxLength: 10 });
const marks = fc.record({ low: fc.integer({ min: 1, max: 1000 }), ahead: fc.integer({ min: 0, max: 1000 }) });

export const anyItem: Arbitrary<Item> = fc.oneof(
  fc
    .record({
      stream,
      run,
      after: fc.oneof(fc.constant(new Uint8Array(0)), run),
      moved: fc.boolean(),
      marks,
      records: fc.array(record, { minLength: 1, maxLength: 8 }),
    })
    .map(({ marks: { low, ahead }, ...rest }) => ({
      kind: 'batch' as const,
      ...rest,
      low,
      first: low + ahead,
    })),
  fc.record({
    kind: fc.constant('ack' as const),
    stream,
    through: count(),
    run,
    skipped: numbers,
    refused: numbers,
    need: fc.constantFrom('nothing' as const, 'missing' as const, 'room' as const),
  }),
  fc.record({
    kind: fc.constant('hello' as const),
    nonce: bytes(16),
    answering: fc.option(bytes(16)),
    received: fc.option(
      fc.record({
        stream,
        through: count(),
        line: fc.array(fc.tuple(run, count()), { maxLength: 5 }),
        skipped: fc.array(count(), { maxLength: 5 }),
      }),
    ),
    sending: fc.option(
      fc.record({ stream, marks }).map((from) => ({
        stream: from.stream,
        low: from.marks.low,
        next: from.marks.low + from.marks.ahead,
      })),
    ),
    heads: fc.array(fc.record({ author: upTo(64), sequence: count(), hash: bytes(32) }), { maxLength: 5 }),
    keysLeft: count(),
    heard: fc.array(fc.record({ device: bytes(20), ago: count() }), { maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('keys' as const), keys }),
  fc.record({ kind: fc.constant('entries' as const), entries: fc.array(upTo(50), { maxLength: 5 }) }),
  fc.record({ kind: fc.constant('wanted' as const), hashes: fc.array(bytes(32), { maxLength: 5 }) }),
  fc.record({
    kind: fc.constant('group-keys' as const),
    keys: fc.array(fc.record({ circle, session: bytes(32), key: upTo(256) }), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant('group-wanted' as const),
    sessions: fc.array(bytes(32), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant('group-denied' as const),
    denied: fc.array(
      fc.record({
        session: bytes(32),
        reason: fc.constantFrom('revoked' as const, 'not-in-group' as const, 'unknown-session' as const),
      }),
      { maxLength: 5 },
    ),
  }),
);

export const anyParcel: Arbitrary<Parcel> = fc.record({
  context: bytes(32),
  roster: bytes(32),
  secret: fc.option(bytes(32)),
  items: fc.array(anyItem, { maxLength: 6 }),
});

export const anyGroupText: Arbitrary<GroupText> = fc.record({
  context: bytes(32),
  id: bytes(16),
  sentAt: count(),
  type: label,
  thread: labelOrNull,
  payload: upTo(300),
});
