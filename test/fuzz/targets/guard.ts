/** The guard in front of the MQTT parser, and the look into messages before the engine takes them. */
import { Duplex } from 'node:stream';
import { type OnOversized, PacketGuard } from '../../../src/drivers/mqtt/packet-guard.ts';
import {
  checkExportedKey,
  checkMegolmMessage,
  checkOlmMessage,
  checkSharedKey,
  readPreKeyMessage,
} from '../../../src/drivers/vodozemac/olm-message.ts';
import { concat } from '../../../src/entities/bytes.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { bin, num } from '../../wire-vectors/raw-cbor.ts';
import { demand, same, type Target } from '../target.ts';
import { pieces } from './control.ts';

const LIMIT = 64;

/** What comes out when these chunks go in, until the guard hangs up. */
function through(
  chunks: readonly Uint8Array[],
  how: OnOversized,
): { readonly out: Buffer; readonly open: boolean } {
  const line = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const guard = new PacketGuard(line, LIMIT, how);
  guard.on('error', () => undefined);
  const out: Buffer[] = [];
  for (const chunk of chunks) {
    if (guard.destroyed) break;
    // As the socket does it, without the turns in between.
    line.emit('data', Buffer.from(chunk));
    const said: unknown = guard.read();
    if (said instanceof Buffer) out.push(said);
  }
  const open = !guard.destroyed;
  guard.destroy();
  return { out: Buffer.concat(out), open };
}

/** The packets that are whole, as far as they can be told from each other; -1 where a length never ends. */
function sizes(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    let rest = 0;
    let width = 1;
    for (; width < 5; width++) {
      const byte = bytes[at + width];
      if (byte === undefined) return found;
      rest += (byte & 0x7f) * 128 ** (width - 1);
      if (byte < 0x80) break;
    }
    if (width === 5) return [...found, -1];
    found.push(1 + width + rest);
    at += 1 + width + rest;
  }
  return found;
}

function examineGuard(input: Uint8Array): void {
  const [how = 0] = input;
  const bytes = input.subarray(1);
  const counts = [0, 0];
  const waysOf = (at: number): OnOversized =>
    how % 3 === 0
      ? 'hang-up'
      : {
          hollowOut: {
            version: how % 3 === 1 ? 4 : 5,
            counted: () => {
              counts[at] = (counts[at] ?? 0) + 1;
            },
          },
        };
  const whole = through([bytes], waysOf(0));
  const apart = through(pieces(bytes), waysOf(1));
  demand(whole.open === apart.open, 'whether the guard hangs up depends on how the bytes arrive');
  if (whole.open) {
    demand(whole.out.equals(apart.out), 'what passes depends on how the bytes arrive');
    demand(counts[0] === counts[1], 'what is counted depends on how the bytes arrive');
    if (sizes(bytes).every((size) => size >= 0 && size <= LIMIT)) {
      demand(
        whole.out.equals(bytes.subarray(0, whole.out.length)),
        'a packet that is small enough was changed',
      );
    }
  }
  for (const { out } of [whole, apart]) {
    const wrong = sizes(out).find((size) => size < 0 || size > LIMIT + 2 + 65_535);
    demand(wrong === undefined, `a packet of ${wrong} bytes got through`);
  }
}

/** A message is in one encoding: with one byte more, or one less, it is none. */
function examineOlm(input: Uint8Array): void {
  const pre = readPreKeyMessage(input);
  demand(pre === undefined || pre.sender.length === 32, 'a sender without a key');
  for (const check of [checkOlmMessage, checkMegolmMessage, checkSharedKey, checkExportedKey]) check(input);
  if (checkSharedKey(input) || checkExportedKey(input)) {
    demand(!checkSharedKey(concat(input, Uint8Array.of(0))), 'a key with something behind it');
  }
  if (pre !== undefined) {
    demand(readPreKeyMessage(input.subarray(0, -1)) === undefined, 'a message that was cut is one');
    demand(same(input, new Uint8Array(input)), 'the message was changed by looking at it');
  }
}

export function guardTargets(): Target[] {
  const publish = Uint8Array.of(0x32, 10, 0, 2, 0x61, 0x62, 0, 1, 1, 2, 3, 4);
  const large = concat(Uint8Array.of(0x32, 0xc8, 1, 0, 2, 0x61, 0x62, 0, 1), new Uint8Array(194).fill(9));
  const key = new Uint8Array(32).fill(5);
  const field = (tag: number, bytes: Uint8Array) => concat(Uint8Array.of(tag, bytes.length), bytes);
  const olm = concat(
    Uint8Array.of(3),
    field(0x0a, key),
    Uint8Array.of(0x10, 0),
    field(0x22, new Uint8Array(16)),
    new Uint8Array(8),
  );
  return [
    {
      name: 'guard',
      watched: ['src/drivers/mqtt/packet-guard'],
      form: { kind: 'bytes' },
      dictionary: [
        publish,
        large,
        Uint8Array.of(0xff, 0xff, 0xff, 0x7f),
        Uint8Array.of(0xd0, 0),
        Uint8Array.of(0x34, 5),
      ],
      longest: 2048,
      seeds: [0, 1, 2].map((how) => concat(Uint8Array.of(how), publish, large, publish)),
      examine: examineGuard,
    },
    {
      name: 'olm',
      watched: ['src/drivers/vodozemac/olm-message', 'src/entities/keys'],
      form: { kind: 'bytes' },
      dictionary: [
        key,
        Uint8Array.of(0x0a, 32),
        Uint8Array.of(0x12, 32),
        Uint8Array.of(0x80, 0),
        num(3),
        bin(key),
      ],
      longest: 1024,
      seeds: [
        olm,
        concat(Uint8Array.of(3), field(0x0a, key), field(0x12, key), field(0x1a, key), field(0x22, olm)),
        concat(Uint8Array.of(3, 8, 1), field(0x12, utf8('ciphertext')), new Uint8Array(72)),
        concat(Uint8Array.of(1), new Uint8Array(132), key),
        concat(Uint8Array.of(2), new Uint8Array(132), key, new Uint8Array(64)),
      ],
      examine: examineOlm,
    },
  ];
}
