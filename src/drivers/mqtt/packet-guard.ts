/**
 * Stands between a socket and an MQTT parser, which would keep up to 256 MiB in memory for one packet.
 *
 * A client cannot simply hang up on a packet that is too large: the broker would bring the same packet again
 * after each reconnect, and whoever may publish to an inbox could keep its owner off the broker for ever. So an
 * oversized PUBLISH is hollowed out: topic and packet id pass, the payload is thrown away as it comes in, the
 * packet is acknowledged and the broker forgets it. A broker, which nobody can make ask again, hangs up.
 *
 * A client also hangs up on a PUBLISH above QoS 1, which it never subscribes to: MQTT.js would keep each until
 * its release, however many come.
 */
import { Duplex } from 'node:stream';

export type OnOversized =
  | { readonly hollowOut: { readonly version: 4 | 5; readonly counted: () => void } }
  | 'hang-up';

/** Why the guard hung up. */
export class BrokenRule extends Error {}

const PUBLISH = 3;
/** Up to this size one large piece is cheaper for the socket than many small ones. */
const WORTH_A_COPY = 64 * 1024;
const LONGEST_HEADER = 5;

interface Header {
  readonly type: number;
  readonly qos: number;
  /** Bytes of the fixed header. */
  readonly bytes: number;
  /** Bytes behind it. */
  readonly rest: number;
}

export class PacketGuard extends Duplex {
  readonly #inner: Duplex;
  readonly #onOversized: OnOversized;
  #limit: number;
  /** A header, or the beginning of an oversized packet, of which more has to come. */
  #held: Buffer = Buffer.alloc(0);
  #pass = 0;
  #skip = 0;

  constructor(inner: Duplex, limit: number, onOversized: OnOversized) {
    super({ allowHalfOpen: false, writableHighWaterMark: 1 << 18, readableHighWaterMark: 1 << 18 });
    this.#inner = inner;
    this.#limit = limit;
    this.#onOversized = onOversized;
    inner.on('data', (chunk: Buffer) => this.#take(chunk));
    inner.on('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    // After an orderly end the last words, which may say why, are still on their way to the parser.
    inner.on('close', () => {
      if (!inner.readableEnded) this.destroy();
    });
  }

  /** From now on a packet may have this many bytes. */
  allow(limit: number): void {
    this.#limit = limit;
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#inner.write(chunk)) done();
    else this.#inner.once('drain', done);
  }

  /** A packet is written in six small pieces; the socket gets everything of one tick at once. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    const whole = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    if (whole <= WORTH_A_COPY) {
      this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer' as BufferEncoding, done);
      return;
    }
    this.#inner.cork();
    let full = false;
    for (const { chunk } of chunks) full = !this.#inner.write(chunk);
    this.#inner.uncork();
    if (full) this.#inner.once('drain', done);
    else done();
  }

  override _final(done: () => void): void {
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    this.#held = Buffer.alloc(0);
    done(error);
  }

  #take(arrived: Buffer): void {
    if (this.destroyed) return;
    const chunk = this.#held.length === 0 ? arrived : Buffer.concat([this.#held, arrived]);
    let at = 0;
    let from = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        from = at;
      } else if (this.#pass > 0) {
        const step = Math.min(this.#pass, chunk.length - at);
        this.#pass -= step;
        at += step;
      } else {
        const header = readHeader(chunk, at);
        if (header === undefined) break;
        if (this.#onOversized !== 'hang-up' && header.type === PUBLISH && header.qos > 1) {
          this.destroy(new BrokenRule(`a PUBLISH with QoS ${header.qos}`));
          return;
        }
        const whole = header.bytes + header.rest;
        if (header.rest >= 0 && whole <= this.#limit) {
          this.#pass = whole;
          continue;
        }
        const hollow = this.#hollow(chunk, at, header);
        if (hollow === undefined) break;
        if (hollow === 'hang-up') {
          this.destroy(new BrokenRule(`a packet of ${header.rest} bytes`));
          return;
        }
        this.#hand(chunk.subarray(from, at));
        this.#hand(hollow.packet);
        this.#skip = whole - hollow.read;
        at += hollow.read;
        from = at;
      }
    }
    this.#hand(chunk.subarray(from, at));
    this.#held = at === chunk.length ? Buffer.alloc(0) : Buffer.from(chunk.subarray(at));
  }

  #hand(bytes: Buffer): void {
    if (bytes.length > 0 && !this.push(bytes)) this.#inner.pause();
  }

  #hollow(
    chunk: Buffer,
    at: number,
    header: Header,
  ): { readonly packet: Buffer; readonly read: number } | 'hang-up' | undefined {
    if (this.#onOversized === 'hang-up' || header.type !== PUBLISH || header.rest < 2) return 'hang-up';
    const { version, counted } = this.#onOversized.hollowOut;
    const body = at + header.bytes;
    if (chunk.length < body + 2) return undefined;
    const kept = 2 + chunk.readUInt16BE(body) + (header.qos > 0 ? 2 : 0);
    if (kept > header.rest) return 'hang-up';
    if (chunk.length < body + kept) return undefined;
    counted();
    const properties = version === 5 ? Buffer.from([0]) : Buffer.alloc(0);
    const packet = Buffer.concat([
      chunk.subarray(at, at + 1),
      variableByteInteger(kept + properties.length),
      chunk.subarray(body, body + kept),
      properties,
    ]);
    return { packet, read: header.bytes + kept };
  }
}

/** `undefined` where more bytes have to come; `rest` is negative where the length never ends. */
function readHeader(chunk: Buffer, at: number): Header | undefined {
  const first = chunk[at] ?? 0;
  let rest = 0;
  for (let i = 1; i < LONGEST_HEADER; i++) {
    const byte = chunk[at + i];
    if (byte === undefined) return undefined;
    rest += (byte & 0x7f) << (7 * (i - 1));
    if (byte < 0x80) return { type: first >> 4, qos: (first >> 1) & 3, bytes: i + 1, rest };
  }
  return { type: 0, qos: 0, bytes: LONGEST_HEADER, rest: -1 };
}

function variableByteInteger(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    const more = left > 0x7f;
    bytes.push((left & 0x7f) | (more ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  return Buffer.from(bytes);
}
