/**
 * The way to the other devices' inboxes. Nothing about it is trusted: it may lose, delay, double, reorder,
 * alter and invent packets. It owes only this: it does not lie about what *it* did.
 * `test/contracts/transport.ts` says what a transport owes.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import type { MeshError } from '../../entities/errors.ts';

export interface TransportEvents {
  /**
   * One packet of our inbox. The broker has its acknowledgement already: whoever receives this call keeps the
   * packet or loses it, and the sender's own resending makes good what is lost. What waited at the broker may
   * come before `connected` is told.
   */
  packet(bytes: Uint8Array): void;
  /**
   * The broker knows us and our inbox is subscribed. `resumed` is false where it kept nothing for us from
   * before, so it may have forgotten what it held for others too.
   */
  connected(to: { readonly broker: string; readonly resumed: boolean }): void;
  /** Reconnecting goes on by itself, unless `permanent`: then nothing but a change of settings helps. */
  disconnected(why: { readonly error: MeshError; readonly permanent: boolean }): void;
}

export interface Transport {
  /** Begins to connect; what happens is told through the events, never during this call. */
  open(events: TransportEvents): void;
  /**
   * Hands a packet to the broker and resolves when the broker has taken it over. Resolves with `offline`
   * where there is no connection, or it went away before the broker had answered; the packet is then forgotten
   * here and may or may not have arrived. The bytes must stay as they are until then.
   */
  publish(to: DeviceId, packet: Uint8Array): Promise<PublishOutcome>;
  /** Says goodbye to the broker and calls no event any more. */
  close(): Promise<void>;
}

export type PublishOutcome = 'taken' | 'offline' | 'too-large' | 'not-allowed';
