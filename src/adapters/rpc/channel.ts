/** Two ends of a stream of bytes, as a local socket or a pipe gives them. */
export interface Channel {
  write(bytes: Uint8Array): void;
  /** Bytes that were written and have not left yet. */
  readonly unsent: number;
  /** No more bytes are handed over until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it after what was written has left. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
  /** To be called once, before anything can arrive. */
  attach(events: ChannelEvents): void;
}

export interface ChannelEvents {
  data(bytes: Uint8Array): void;
  /** The far end sends nothing more. It may still read, if this end leaves the channel open. */
  finished(): void;
  /** It is over, whoever ended it. Nothing comes after. */
  closed(): void;
}
