/**
 * Bytes that are written one after the other. What is short is gathered in memory that grows by doubling; what is
 * long is only noted, and copied once, when all of it is put together: so it must not change until then.
 */
const LONG = 1024;

export class ByteSink {
  /** What comes before what is being gathered. */
  readonly #pieces: Uint8Array[] = [];
  #before = 0;
  #gathered = new Uint8Array(256);
  #length = 0;

  byte(value: number): void {
    if (this.#length === this.#gathered.length) this.#grow(1);
    this.#gathered[this.#length++] = value;
  }

  raw(bytes: Uint8Array): void {
    if (bytes.length >= LONG) {
      this.#note(bytes);
      return;
    }
    if (this.#length + bytes.length > this.#gathered.length) this.#grow(bytes.length);
    this.#gathered.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** All of it, in memory as large as `size` says, with zeros around it. */
  finish(frame?: (length: number) => { readonly size: number; readonly at: number }): Uint8Array {
    const length = this.#before + this.#length;
    const { size, at } = frame?.(length) ?? { size: length, at: 0 };
    const whole = new Uint8Array(size);
    let next = at;
    for (const piece of this.#pieces) {
      whole.set(piece, next);
      next += piece.length;
    }
    whole.set(this.#gathered.subarray(0, this.#length), next);
    return whole;
  }

  #note(bytes: Uint8Array): void {
    if (this.#length > 0) this.#pieces.push(this.#gathered.subarray(0, this.#length));
    this.#pieces.push(bytes);
    this.#before += this.#length + bytes.length;
    this.#gathered = this.#gathered.subarray(this.#length);
    this.#length = 0;
  }

  #grow(count: number): void {
    const grown = new Uint8Array(Math.max(256, this.#gathered.length * 2, this.#length + count));
    grown.set(this.#gathered.subarray(0, this.#length));
    this.#gathered = grown;
  }
}
