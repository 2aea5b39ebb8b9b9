/** What lies on the disk of a store: its header, its anchor, its history and its records. */

import { decodeAnchor, encodeAnchor } from '../../../src/adapters/keystore/anchor.ts';
import {
  commitDigest,
  decodeCheckpoint,
  decodeCommit,
  encodeCheckpoint,
  encodeCommit,
  splitEpoch,
  withEpoch,
} from '../../../src/adapters/keystore/commit-chain.ts';
import { Undecodable } from '../../../src/adapters/keystore/compact-bytes.ts';
import { encodeHeader, type Header, parseHeader } from '../../../src/adapters/keystore/header.ts';
import {
  checkpointName,
  commitName,
  numberInName,
  type Origin,
  RecordSeal,
} from '../../../src/adapters/keystore/record-seal.ts';
import { decodeValue, encodeValue } from '../../../src/adapters/keystore/record-value.ts';
import { openSealedKeystore } from '../../../src/adapters/keystore/sealed-keystore.ts';
import { MemoryDisk } from '../../../src/adapters/memory/memory-key-value.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { concat, toHex } from '../../../src/entities/bytes.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { memoryStore, testKeys } from '../../support/keystore.ts';
import { demand, laterValueOrCode, same, type Target, valueOrCode } from '../target.ts';

const { hash, mac } = nodePrimitives;
const dataKey = new Secret(new Uint8Array(32).fill(2));
const epoch = { id: new Uint8Array(16).fill(4), schema: 1 };
const MAC_AND_HASH = 64;

/** As it is, and as the body of a header whose hash is right. */
function examineHeader(input: Uint8Array): void {
  const signed = concat(utf8('trusted-mesh store 1\n'), input, new Uint8Array(32));
  for (const bytes of [input, concat(signed, hash(signed))]) {
    const parsed = valueOrCode(() => parseHeader(hash, bytes));
    if ('refused' in parsed) continue;
    const covered = encodeHeader(hash, mac, dataKey, parsed.ok).subarray(0, -MAC_AND_HASH);
    demand(same(covered, bytes.subarray(0, -MAC_AND_HASH)), 'a header was accepted that no store writes');
  }
}

/** `undefined` where the bytes are refused as they ought to be. */
function decodable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof Undecodable) return undefined;
    throw error;
  }
}

/** Each of the formats inside the seals, and the anchor. */
function examineRecords(input: Uint8Array): void {
  const commit = decodable(() => decodeCommit(input));
  if (commit !== undefined)
    demand(same(encodeCommit(commit), input), 'a commit was accepted that no store writes');
  const checkpoint = decodable(() => decodeCheckpoint(input));
  if (checkpoint !== undefined) {
    const again = encodeCheckpoint(checkpoint);
    // Epochs of which nothing is left are forgotten with the next checkpoint.
    const isSame = again.length === input.length && same(again, input);
    demand(isSame || again.length <= input.length - epoch.id.length, 'a checkpoint that no store writes');
    demand(same(encodeCheckpoint(decodeCheckpoint(again)), again), 'a checkpoint that changes once more');
  }
  const split = decodable(() => splitEpoch(input));
  if (split !== undefined)
    demand(same(withEpoch(split.epoch, split.sealed), input), 'an epoch that is not one');
  const anchor = valueOrCode(() => decodeAnchor(mac, testKeys, input));
  if ('ok' in anchor)
    demand(same(encodeAnchor(mac, testKeys, anchor.ok), input), 'an anchor that is not one');
  numberInName(input);
}

/**
 * A database whose seals are sound, with the input as the first checkpoint or the first commit, or beside a
 * sound one. It opens, or it is refused with a code; and so is every record.
 */
async function examineHistory(input: Uint8Array): Promise<void> {
  const seal = new RecordSeal(nodePrimitives, testKeys);
  const [how = 0] = input;
  const body = input.subarray(1);
  const origin: Origin = { number: 1, epoch };
  const store = memoryStore(new MemoryDisk());
  const sound = encodeCommit({
    previous: new Uint8Array(32),
    changes: [{ kind: 'setting', key: 'broker', removed: false }],
  });
  const checkpoint = concat(new Uint8Array(32), Uint8Array.of(1, 1, 1), epoch.id, Uint8Array.of(0));
  const commitBody = how % 3 === 1 ? body : sound;
  const checkpointBody = how % 3 === 0 ? body : checkpoint;
  const entries = store.disk.rawEntries();
  const put = async (name: Uint8Array, bytes: Uint8Array): Promise<void> => {
    const [sealed = new Uint8Array()] = await seal.seal(origin, [{ name, bytes }]);
    entries.set(toHex(name), withEpoch(epoch, sealed));
  };
  await put(commitName(1), commitBody);
  await put(checkpointName(1), checkpointBody);
  const record = seal.recordName('setting', 'broker');
  const [value = new Uint8Array()] = await seal.seal(origin, [
    { name: record, bytes: encodeValue('mqtt://x') },
  ]);
  entries.set(toHex(record), how % 3 === 2 ? body : value);
  const digest = commitDigest(hash, testKeys.storeId, origin, commitBody);
  await store.disk.anchor().replace(encodeAnchor(mac, testKeys, { number: 1, digest }));

  const opened = await laterValueOrCode(() => openSealedKeystore(store.parts()));
  if ('refused' in opened) return;
  for (const key of opened.ok.keys('setting')) {
    await laterValueOrCode(() => opened.ok.read('setting', key));
  }
  opened.ok.position();
  await laterValueOrCode(() => opened.ok.commit([{ kind: 'setting', key: 'retention', put: '7d' }]));
  await laterValueOrCode(() => opened.ok.close());
}

/** A value that can be kept is read as the same. */
function examineValue(input: Uint8Array): void {
  let value: unknown;
  try {
    value = decodeValue(input);
    encodeValue(value);
  } catch {
    // Only what `encodeValue` made, and a seal has vouched for, comes to `decodeValue`.
    return;
  }
  const kept = encodeValue(value);
  demand(same(encodeValue(decodeValue(kept)), kept), 'a value is kept as another one');
}

export function storeTargets(): Target[] {
  const slot = (number: number) => ({
    number,
    kind: 'key-file' as const,
    salt: new Uint8Array(16),
    cost: undefined,
    wrapped: new Uint8Array(48),
  });
  const passphrase = { ...slot(3), kind: 'passphrase' as const, cost: { logN: 17, r: 8, p: 1 } };
  const headers: Header[] = [
    { storeId: new Uint8Array(16), schema: 1, slots: [slot(1)] },
    { storeId: new Uint8Array(16), schema: 2, slots: [slot(1), passphrase] },
  ];
  const whole = headers.map((header) => encodeHeader(hash, mac, dataKey, header));
  const changes = [
    { kind: 'setting', key: 'broker', removed: false },
    { kind: 'inbox', key: '1', removed: true },
    { kind: 'setting', key: 'retention', removed: false },
  ];
  const commit = encodeCommit({ previous: new Uint8Array(32), changes });
  const checkpoint = concat(
    new Uint8Array(32),
    Uint8Array.of(1, 1, 1),
    epoch.id,
    Uint8Array.of(1, 1, 0x61, 2, 1, 0x62, 1, 1, 0x63, 0x80, 1),
  );
  const watched = ['src/adapters/keystore/'];
  return [
    {
      name: 'header',
      watched,
      form: { kind: 'cbor', prefix: 0 },
      dictionary: ['key-file', 'passphrase', 'credential', 'trusted-mesh store 1\n', 'store 2\n'].map(utf8),
      longest: 20 * 1024,
      seeds: [...whole, ...whole.map((bytes) => bytes.slice(21, -MAC_AND_HASH))],
      examine: examineHeader,
    },
    {
      name: 'records',
      watched,
      form: { kind: 'bytes' },
      dictionary: [
        utf8('setting'),
        utf8('\uFEFF'),
        Uint8Array.of(0x80, 0),
        new Uint8Array(7).fill(0xff),
        epoch.id,
      ],
      longest: 2048,
      seeds: [
        commit,
        checkpoint,
        encodeAnchor(mac, testKeys, { number: 7, digest: new Uint8Array(32) }),
        commitName(5),
      ],
      examine: examineRecords,
    },
    {
      name: 'history',
      watched,
      form: { kind: 'bytes' },
      dictionary: [
        utf8('setting'),
        utf8('broker'),
        Uint8Array.of(0x80, 0),
        new Uint8Array(7).fill(0xff),
        epoch.id,
      ],
      longest: 1024,
      seeds: [concat(Uint8Array.of(0), checkpoint), concat(Uint8Array.of(1), commit), Uint8Array.of(2, 1, 2)],
      examine: examineHistory,
    },
    {
      name: 'value',
      watched,
      form: { kind: 'cbor', prefix: 0 },
      dictionary: ['__proto__', 'constructor', '\uFEFF', 'a', 'toString', ''].map(utf8),
      longest: 4096,
      seeds: [encodeValue({ a: 1, b: [new Uint8Array(3), null, true, 'text', -5, 1.5], '': {} })],
      examine: examineValue,
    },
  ];
}
