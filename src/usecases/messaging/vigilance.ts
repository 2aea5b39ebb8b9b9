/**
 * What a broker does that it must not and that shows: holding back all that passes between two devices, and handing
 * out again what it had handed out long before. Neither can be prevented; both are told to the person, with the
 * device and the time.
 *
 * A device that is silent is usually just off. But members say to each other, in every hello, when a device has
 * last answered them; so one that answers others and not this one, though the broker took the question, is known.
 */
import { toHex } from '../../entities/bytes.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromBytes } from '../../entities/device-id.ts';
import type { HelloItem } from '../../entities/wire/items.ts';
import type { Office } from './office.ts';
import type { Peer } from './peer.ts';

const MINUTE = 60_000;
/** So long after it took a packet, a broker has handed it to whoever is connected. */
const HANDED_OVER = 10 * MINUTE;
/** What was received so long ago in a connection that still stands is known to the broker as received. */
const SETTLED = 5 * MINUTE;
const REPORTED_EVERY = 60 * MINUTE;
/** Packets of each peer. */
const REMEMBERED = 1024;

export interface Vigilance {
  /** A greeting went out. */
  asked(peer: Peer): void;
  /** Something authentic came. */
  heard(peer: Peer): void;
  /** An answer came to what was asked at that time, so the device was there after it. */
  answered(peer: Peer, askedAt: number): void;
  /** When the others last answered this device. */
  hearsay(): HelloItem['heard'];
  /** What a member says about the others, in answer to what it was asked at that time. */
  onHearsay(by: Peer, askedAt: number, heard: HelloItem['heard']): void;
  /** Something authentic came again that the broker knows to have been received. */
  onReplay(peer: Peer): void;
  disconnected(): void;
  /** Once a minute. */
  look(): void;
}

/** What one peer's silence and its packets say about the broker. Of this run, and in its time. */
export interface Vigil {
  /** The first greeting that was not answered by anything, in this connection. */
  unansweredSince: number | undefined;
  /** It was there at this time, or later; by both clocks, because one of them stands still while a device sleeps. */
  alive: { readonly elapsed: number; readonly now: number } | undefined;
  /** It answers others and not this device. */
  withheldSince: number | undefined;
  /** MACs of packets that came in this run, and when; the oldest go first. */
  readonly received: Map<string, number>;
  /** What came until then the broker knows to have been received; and what will be that time. */
  settledAt: number;
  candidateAt: number | undefined;
  replays: number;
  reportedAt: number;
}

export function newVigil(): Vigil {
  return {
    unansweredSince: undefined,
    alive: undefined,
    withheldSince: undefined,
    received: new Map(),
    settledAt: Number.NEGATIVE_INFINITY,
    candidateAt: undefined,
    replays: 0,
    reportedAt: Number.NEGATIVE_INFINITY,
  };
}

/**
 * Whether the broker handed over this very packet before, and knows it. A device that was put back to an older state
 * uses numbers again, but its packets are others.
 */
export function isOldReplay({ vigil }: Peer, mac: Uint8Array): boolean {
  const at = vigil.received.get(toHex(mac));
  return at !== undefined && at <= vigil.settledAt;
}

export function noteReceived({ vigil }: Peer, mac: Uint8Array, elapsed: number): void {
  vigil.received.set(toHex(mac), elapsed);
  for (const oldest of vigil.received.keys()) {
    if (vigil.received.size <= REMEMBERED) return;
    vigil.received.delete(oldest);
  }
}

export function createVigilance(office: Office): Vigilance {
  const { clock } = office;
  const wall = (elapsed: number): number => Math.floor(clock.now() - (clock.elapsed() - elapsed));

  function withheld(peer: Peer, since: number): void {
    peer.vigil.withheldSince = since;
    office.report({ what: 'peer-withheld', device: peer.id, count: 1, since: wall(since) });
  }

  return {
    asked({ vigil }) {
      vigil.unansweredSince ??= clock.elapsed();
    },

    heard({ vigil }) {
      vigil.unansweredSince = undefined;
      vigil.withheldSince = undefined;
    },

    answered({ vigil }, askedAt) {
      if (vigil.alive !== undefined && vigil.alive.elapsed >= askedAt) return;
      vigil.alive = { elapsed: askedAt, now: wall(askedAt) };
    },

    hearsay() {
      const heard: { device: Uint8Array; ago: number }[] = [];
      for (const { id, standing, vigil } of office.peers.values()) {
        const { alive } = vigil;
        if (standing !== 'member' || alive === undefined) continue;
        const ago = Math.max(clock.elapsed() - alive.elapsed, clock.now() - alive.now);
        heard.push({ device: deviceIdBytes(id), ago: Math.ceil(ago) });
      }
      return heard;
    },

    onHearsay(by, askedAt, heard) {
      if (!office.isSibling(by)) return;
      for (const { device, ago } of heard) {
        const peer = peerOf(deviceIdFromBytes(device));
        if (peer === undefined || !office.isSibling(peer)) continue;
        const { unansweredSince, withheldSince } = peer.vigil;
        // It answered after we had asked for the time, less what had passed since then: never later than it was.
        const aliveAt = askedAt - ago;
        if (unansweredSince === undefined || withheldSince !== undefined) continue;
        if (aliveAt >= unansweredSince + HANDED_OVER) withheld(peer, unansweredSince);
      }
    },

    onReplay(peer) {
      peer.vigil.replays += 1;
      reportReplays(peer);
    },

    disconnected() {
      for (const { vigil } of office.peers.values()) {
        vigil.unansweredSince = undefined;
        vigil.alive = undefined;
        vigil.candidateAt = undefined;
      }
    },

    look() {
      const now = clock.elapsed();
      for (const peer of office.peers.values()) {
        reportReplays(peer);
        const { vigil } = peer;
        if (!office.isOnline()) continue;
        const { candidateAt } = vigil;
        if (candidateAt !== undefined && now - candidateAt < SETTLED) continue;
        vigil.settledAt = candidateAt ?? vigil.settledAt;
        vigil.candidateAt = now;
      }
    },
  };

  function peerOf(id: DeviceId | undefined): Peer | undefined {
    return id === undefined ? undefined : office.peers.get(id);
  }

  /** The first at once, and what comes after it in one sum an hour. */
  function reportReplays(peer: Peer): void {
    const { vigil } = peer;
    const now = clock.elapsed();
    if (vigil.replays === 0 || now - vigil.reportedAt < REPORTED_EVERY) return;
    office.report({
      what: 'packets-replayed',
      device: peer.id,
      count: vigil.replays,
      since: wall(vigil.settledAt),
    });
    vigil.replays = 0;
    vigil.reportedAt = now;
  }
}
