/**
 * A secret that cannot be printed by accident: not by `String`, `JSON.stringify`, a template, a logger, an
 * inspector or structured cloning into any of these. The bytes are reached only by naming `expose`.
 */
const REDACTED = '[secret]';

export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    Object.freeze(this);
  }

  /** The bytes themselves, not a copy: the caller keeps them no longer than it needs. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Overwrites the bytes. What the engine copied elsewhere is beyond reach. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  /** Node's inspector asks for this symbol by its registered name; other platforms never do. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }
}
