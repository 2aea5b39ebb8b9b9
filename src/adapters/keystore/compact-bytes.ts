/**
 * The encoding of what the keystore writes about itself (directory, commits): numbers of variable length and
 * length-prefixed strings, several times faster than CBOR where there are thousands of them.
 */
import { fromUtf8, utf8 } from '../../entities/text.ts';

export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** Of a whole number up to 2^53 - 1: seven bits a byte, the low ones first. */
  uint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(text: string): void {
    const bytes = utf8(text);
    this.uint(bytes.length);
    this.raw(bytes);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
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
    if (this.#at + length > this.#bytes.length) throw new Undecodable();
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
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
