/** Entries of the membership log, as bytes and as what they do to a log. */
import { toHex } from '../../../src/entities/bytes.ts';
import { admit } from '../../../src/entities/roster/admission.ts';
import { attachSignature } from '../../../src/entities/roster/compose.ts';
import {
  type Body,
  type Entry,
  type EntryHash,
  hashContent,
  SEQUENCE_MAX,
} from '../../../src/entities/roster/entry.ts';
import { decodeEntry, encodeContent, encodeEntry } from '../../../src/entities/roster/entry-codec.ts';
import {
  foundMembership,
  type Membership,
  restoreMembership,
} from '../../../src/entities/roster/membership.ts';
import { entrySignable } from '../../../src/entities/roster/signing.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { decode, encode, type Value } from '../../../src/entities/wire/cbor.ts';
import {
  type Actor,
  accomplice,
  add,
  alice,
  found,
  must,
  phone,
  pi,
  second,
  sha256,
  tablet,
} from '../../entities/roster/cast.ts';
import { demand, same, type Target } from '../target.ts';
import { bytesIn } from './vectors.ts';

const SIGNATURE = new Uint8Array(64).fill(1);

/** A name that is not fit to be shown, or not composed, and a reason from later are not written as they were read. */
function isWrittenAlike({ body }: Entry): boolean {
  const name = 'name' in body ? body.name : '';
  return name === '' && !(body.kind === 'revoke' && body.reason === 'other');
}

function examineEntry(input: Uint8Array): void {
  for (const bytes of [input, encodeEntry(input, SIGNATURE)]) {
    const decoded = decodeEntry(sha256, bytes);
    if ('refused' in decoded) continue;
    const entry = decoded.ok;
    demand(same(entry.bytes, bytes), 'an entry is passed on as something else than it came as');
    const again = encodeEntry(encodeContent(entry), entry.signature);
    if (isWrittenAlike(entry)) demand(same(again, bytes), 'an entry was accepted in another encoding');
    const twice = decodeEntry(sha256, again);
    demand(
      'ok' in twice,
      `what an accepted entry says is refused: ${'refused' in twice ? twice.refused : ''}`,
    );
    demand(
      same(encodeContent(twice.ok), encodeContent(entry)),
      'an entry says something else the second time',
    );
    const founded = foundMembership(sha256, () => true, entry);
    if ('ok' in founded) demand(founded.ok.roster.members.size === 1, 'a founder who is not alone');
  }
}

const CAST: readonly Actor[] = [alice, phone, pi, tablet, accomplice, second];

/** One of a list, whatever stands there. */
function pick<T>(list: readonly T[], value: Value | undefined): T {
  const chosen = list[(typeof value === 'number' ? Math.abs(value) : 0) % list.length];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
}

const listOf = (value: Value | undefined): readonly Value[] =>
  Array.isArray(value) ? (value as readonly Value[]) : [];
const isNumber = (value: Value | undefined): value is number => typeof value === 'number' && value >= 0;

/**
 * A history from any value: each item of the outer array is an entry, `[author, kind, previous, sequence, mesh,
 * heads, …body]`, where entries and devices are numbers that stand for one of those there are. Every entry has
 * a sound encoding, so its hash is right; whether it fits is for the admission to say.
 */
function entriesFrom(value: Value, membership: Membership): Entry[] {
  const made: Entry[] = [membership.genesis];
  for (const item of listOf(value).slice(0, 16)) {
    const [author, kind, previous, sequence, mesh, heads, one, two] = listOf(item);
    const by = pick(CAST, author);
    const hashes = (list: Value | undefined): EntryHash[] => [
      ...new Set(listOf(list).map((which) => pick(made, which).hash)),
    ];
    const before = isNumber(previous) ? pick(made, previous) : lastOf(made, by);
    const number = isNumber(sequence) ? Math.min(sequence, SEQUENCE_MAX) : (before?.sequence ?? 0) + 1;
    if (number < 1 || number > SEQUENCE_MAX) continue;
    const bytes = encodeContent({
      mesh:
        isNumber(mesh) && mesh > 3
          ? must(foundMembership(sha256, () => true, foreign)).mesh
          : membership.mesh,
      author: { kind: 'device', id: by.id },
      sequence: number,
      previous: number === 1 ? null : (before ?? membership.genesis).hash,
      heads: hashes(heads).slice(0, 128),
      body: bodyFrom(kind, one, two, by, membership, made, hashes),
      createdAt: 0,
    });
    const decoded = decodeEntry(sha256, encodeEntry(bytes, SIGNATURE));
    if ('ok' in decoded) made.push(decoded.ok);
  }
  return made.slice(1);
}

const foreign = found(second).genesis;

function lastOf(entries: readonly Entry[], author: Actor): Entry | undefined {
  return entries.findLast((entry) => entry.author.id === author.id);
}

function bodyFrom(
  kind: Value | undefined,
  one: Value | undefined,
  two: Value | undefined,
  by: Actor,
  { mesh }: Membership,
  made: readonly Entry[],
  hashes: (list: Value | undefined) => EntryHash[],
): Body {
  const target = pick(CAST, one);
  const named = pick(made, one).hash;
  const devices = [...new Set(listOf(two).map((which) => pick(CAST, which).id))];
  const some = devices.length === 0 ? [target.id] : devices;
  switch ((isNumber(kind) ? kind : 0) % 11) {
    case 0:
    case 1:
      return add(mesh, by, target);
    case 2:
      return {
        kind: 'revoke',
        target: target.id,
        cut: isNumber(two) ? pick(made, two).hash : null,
        reason: 'lost',
      };
    case 3:
      return { kind: 'leave' };
    case 4: {
      const applied = hashes(one);
      return { kind: 'confirm', applied: applied.length === 0 ? [named] : applied, heads: hashes(two) };
    }
    case 5:
      return { kind: 'rename', target: target.id, name: by.name, replaces: hashes(two).slice(0, 32) };
    case 6:
      return { kind: 'group-create', name: by.name };
    case 7:
      return { kind: 'group-add', group: named, devices: some };
    case 8:
      return { kind: 'group-remove', group: named, devices: some, adds: [named] };
    case 9:
      return { kind: 'group-rename', group: named, name: target.name, replaces: hashes(two).slice(0, 32) };
    default:
      return { kind: 'unknown', number: 99, value: two ?? null };
  }
}

const ROUNDS = 4;
const CAPS = { bytes: 4096, depth: 8, items: 2000 };

/** With a verifier that says yes to everything: what is looked at is the rules, not the signatures. */
const context = { hash: sha256, verify: () => true };

function examineAdmission(input: Uint8Array): void {
  const value = decode(input, CAPS);
  if ('refused' in value) return;
  const start = found(alice);
  const entries = entriesFrom(value.ok, start);
  const together = admit(context, start, entries);
  demand(together.outcomes.length === entries.length, 'an entry without an answer');
  checkLog(together.membership);
  demand(
    together.admitted.length === together.membership.log.size - start.log.size,
    'what was admitted is not what is new in the log',
  );

  // One after the other, and backwards, and once more each.
  let apart = start;
  for (let round = 0; round < ROUNDS; round++) {
    const before = apart.log.size;
    for (const entry of round % 2 === 0 ? entries.toReversed() : entries) {
      apart = admit(context, apart, [entry]).membership;
    }
    if (apart.log.size === before && round > 0) break;
  }
  checkLog(apart);
  const again = admit({ ...context, self: alice.id }, together.membership, [
    ...together.membership.log.values(),
  ]);
  demand(
    again.outcomes.every(({ outcome }) => outcome === 'already'),
    'an entry of the log is not known to it',
  );
}

/** Kept and read again, it is the same log. */
function checkLog(membership: Membership): void {
  const entries = [...membership.log.values()].map((entry) => must(decodeEntry(sha256, entry.bytes)));
  const restored = restoreMembership(sha256, entries);
  demand('ok' in restored, 'a log that was admitted cannot be read again');
  const digest = (one: Membership): string => toHex(one.roster.digest);
  demand(digest(restored.ok) === digest(membership), 'a log that was read again has another digest');
  const members = (one: Membership): string => [...one.roster.members].sort().join();
  demand(members(restored.ok) === members(membership), 'a log that was read again has other members');
  const signable = entrySignable(membership.genesis.hash);
  const { hash, signature } = membership.genesis;
  demand(hash === hashContent(sha256, encodeContent(membership.genesis)), 'another GENESIS');
  const draft = { hash, content: encodeContent(membership.genesis), signable };
  demand(attachSignature(sha256, draft, signature).hash === hash, 'a GENESIS that cannot be signed');
}

export function membershipTargets(root: string): Target[] {
  const entries = bytesIn(root, 'entries.json', 'bytes').filter(({ length }) => length < 8192);
  return [
    {
      name: 'entry',
      watched: [
        'src/entities/roster/',
        'src/entities/wire/cbor',
        'src/entities/device-name',
        'src/entities/keys',
      ],
      form: { kind: 'cbor', prefix: 0 },
      dictionary: ['\uFEFF', 'Alice', 'e\u0301', '\u0958', '\u{1D15E}', '__proto__'].map(utf8),
      longest: 8192,
      seeds: [
        ...entries,
        ...entries.flatMap((entry) => {
          const decoded = decode(entry, CAPS);
          const content = 'ok' in decoded ? listOf(decoded.ok)[0] : undefined;
          return content instanceof Uint8Array ? [content] : [];
        }),
      ],
      examine: examineEntry,
    },
    {
      name: 'admission',
      watched: ['src/entities/roster/'],
      form: { kind: 'cbor', prefix: 0 },
      dictionary: [],
      longest: 600,
      seeds: (
        [
          [],
          [[0, 0, null, null, 0, [], 1]],
          [
            [0, 0, null, null, 0, [], 1],
            [1, 0, null, null, 0, [], 2],
            [0, 2, null, null, 0, [], 1, 1],
            [0, 4, null, null, 0, [], [3], [2, 3]],
          ],
          [
            [0, 6, null, null, 0, [0]],
            [0, 0, null, null, 0, [], 1],
            [0, 7, null, null, 0, [], 1, [0, 1]],
            [0, 8, null, null, 0, [], 1, [1]],
          ],
        ] as readonly Value[]
      ).map(encode),
      examine: examineAdmission,
    },
  ];
}
