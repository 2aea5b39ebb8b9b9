/** What the broker and the peers send: envelopes, and what stands inside. */
import { nobleHash as hash } from '../../../src/adapters/noble/primitives.ts';
import {
  authenticatorBytes,
  coveredBytes,
  decodeEnvelope,
  encodeEnvelope,
} from '../../../src/entities/wire/envelope.ts';
import { decodeGroupText, encodeGroupText } from '../../../src/entities/wire/group-text.ts';
import type { Item } from '../../../src/entities/wire/items.ts';
import { pad, unpad } from '../../../src/entities/wire/padding.ts';
import {
  decodeCore,
  decodeParcel,
  encodeCore,
  encodeParcel,
  type Parcel,
  SALT_BYTES,
} from '../../../src/entities/wire/parcel.ts';
import { REFUSALS as OF_ENVELOPES } from '../../entities/wire/refusals.ts';
import { demand, same, type Target } from '../target.ts';
import { bytesIn } from './vectors.ts';

const WATCHED = ['src/entities/wire/', 'src/entities/keys', 'src/entities/bytes', 'src/entities/device-id'];
const WORDS = [
  '__proto__',
  'constructor',
  'length',
  'toString',
  '\uFEFF',
  '\u0000',
  '\u{1F600}',
  '1',
  '',
].map((word) => new TextEncoder().encode(word));
const KEYS = [1, 5].map((byte) => new Uint8Array(32).fill(byte));

const REFUSALS = new Set([...OF_ENVELOPES, 'group-text-malformed', 'group-context-mismatch']);

/** What was accepted; an answer outside the protocol's table is a finding. */
function accepted<T>(result: { readonly ok: T } | { readonly refused: string }): T | undefined {
  if ('ok' in result) return result.ok;
  demand(REFUSALS.has(result.refused), `a refusal that no document names: ${result.refused}`);
  return undefined;
}

function examineEnvelope(input: Uint8Array): void {
  const opened = accepted(decodeEnvelope(input));
  if (opened === undefined) return;
  const { envelope, head } = opened;
  const length = authenticatorBytes(envelope.kind);
  demand(same(head, input.subarray(0, -length)), 'the head is not all before the authenticator');
  const digests = 'attached' in envelope ? envelope.attached.map((bytes) => hash(bytes)) : [];
  let covered: Uint8Array | undefined;
  const again = encodeEnvelope(
    envelope,
    (bytes) => {
      covered = bytes.slice();
      return input.subarray(-length);
    },
    digests,
  );
  demand(
    covered !== undefined && same(covered, coveredBytes(opened, digests)),
    'the authenticator covers something else at the receiver',
  );
  demand(same(again, input), 'an envelope was accepted that is not what its sender would write');
}

/** What a later version may have put in is passed over, so it cannot be written again. */
const isKnown = (item: Item): boolean =>
  item.kind !== 'unknown' &&
  (item.kind !== 'batch' || item.records.every((record) => record.kind !== 'unknown'));

/** As it is, and as the text inside sound padding. */
function examineParcel(input: Uint8Array): void {
  const text = unpad(input);
  if (text !== undefined) demand(same(pad(text), input), 'padding was accepted that nobody makes');
  for (const padded of [input, pad(input)]) {
    const parcel = accepted(decodeParcel(padded));
    if (parcel === undefined || !parcel.items.every(isKnown)) continue;
    demand(
      same(encodeParcel(parcel), padded),
      'a parcel was accepted that is not what its sender would write',
    );
  }
}

function examineCore(input: Uint8Array): void {
  const core = accepted(decodeCore(input));
  if (core === undefined) return;
  // Behind the heads of the array and of the byte string.
  const salt = input.subarray(2, 2 + SALT_BYTES);
  demand(same(encodeCore(salt, core), input), 'a core was accepted that is not what its sender would write');
}

/** What a group session encrypts, inside sound padding and for the circle that it names itself. */
function examineGroupText(input: Uint8Array): void {
  const salt = input.subarray(2, 2 + SALT_BYTES);
  const contextAt = 2 + SALT_BYTES + 2;
  const context = input.subarray(contextAt, contextAt + 32);
  accepted(decodeGroupText(input, context));
  const padded = pad(input);
  const text = accepted(decodeGroupText(padded, context));
  if (text === undefined) return;
  const again = encodeGroupText(salt, text);
  demand(same(again, padded), 'a text was accepted that is not what its sender would write');
}

const of = (length: number): Uint8Array => new Uint8Array(length).fill(1);
const content = {
  kind: 'content',
  id: of(16),
  sentAt: 1,
  type: 't',
  thread: null,
  group: null,
  payload: of(1),
} as const;
const marks = { stream: of(16), run: of(8), after: of(0), moved: false, low: 1, first: 1 };
const oneRecord: Parcel = {
  context: of(32),
  roster: of(32),
  secret: null,
  items: [{ kind: 'batch', ...marks, records: [content] }],
};

export function wireTargets(root: string): Target[] {
  const parcels = bytesIn(root, 'parcels.json', 'bytes');
  const texts = parcels.flatMap((padded) => unpad(padded) ?? []);
  const text = (parcel: Parcel): Uint8Array => unpad(encodeParcel(parcel)) ?? new Uint8Array();
  const common = { watched: WATCHED, dictionary: [...WORDS, ...KEYS] };
  return [
    {
      ...common,
      name: 'envelope',
      form: { kind: 'cbor', prefix: 1 },
      longest: 8192,
      seeds: bytesIn(root, 'envelopes.json', 'bytes'),
      examine: examineEnvelope,
    },
    {
      ...common,
      name: 'parcel',
      form: { kind: 'cbor', prefix: 0 },
      longest: 6000,
      seeds: [
        text(oneRecord),
        ...texts,
        ...bytesIn(root, 'parcels.json', 'padded').filter(({ length }) => length < 4096),
      ],
      examine: examineParcel,
    },
    {
      ...common,
      name: 'group-text',
      form: { kind: 'cbor', prefix: 0 },
      longest: 4000,
      seeds: [unpad(encodeGroupText(of(16), { ...content, context: of(32) })) ?? of(1)],
      examine: examineGroupText,
    },
    {
      ...common,
      name: 'core',
      form: { kind: 'cbor', prefix: 0 },
      longest: 4400,
      seeds: parcels.filter(({ length }) => length < 4400),
      examine: examineCore,
    },
  ];
}
