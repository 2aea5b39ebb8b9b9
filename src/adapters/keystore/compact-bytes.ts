/**
 * The encoding of what the keystore writes (directory, commits, and the values of records): numbers of variable length
 * and length-prefixed strings, several times faster than CBOR where there are thousands of them.
 */
import { ByteSink } from '../../entities/byte-sink.ts';
import { fromUtf8, utf8 } from '../../entities/text.ts';

export class ByteWriter extends ByteSink {
  /** Of a whole number up to 2^53 - 1: seven bits a byte, the low ones first. */
  uint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  text(text: string): void {
    const bytes = utf8(text);
    this.uint(bytes.length);
    this.raw(bytes);
  }
}

/** Bytes that are not what a writer wrote. */
export class Undecodable extends Error {
  constructor() {
    super('the bytes are not a record of this kind');
    this.name = 'Undecodable';
  }
}

/** Reads what a `ByteWriter` wrote; throws `Undecodable` on anything else. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Undecodable();
    return byte;
  }

  /** The next byte, which is not taken yet. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Undecodable();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        // A number has one encoding, and it is one that a writer can be given.
        if ((byte === 0 && i > 0) || !Number.isSafeInteger(value)) throw new Undecodable();
        return value;
      }
      scale *= 0x80;
    }
    throw new Undecodable();
  }

  raw(length: number): Uint8Array {
    return new Uint8Array(this.view(length));
  }

  /** The same without a copy. */
  view(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new Undecodable();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    const text = fromUtf8(this.raw(this.uint()));
    if (text === undefined) throw new Undecodable();
    return text;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Undecodable();
  }
}
