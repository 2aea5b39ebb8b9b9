/**
 * The membership log among peers: who lacks what, and who has to be asked. Heads in hellos say what each holds;
 * a digest in everything that is sent says whether that is the same. Entries are sent again until a peer's
 * digest shows that it has them, so none of them depends on a packet that may get lost.
 */
import { equal, toHex } from '../../entities/bytes.ts';
import { type DeviceId, deviceIdFromBytes } from '../../entities/device-id.ts';
import { answer, missing, unknown, WANTED_MAX, wanted } from '../../entities/roster/anti-entropy.ts';
import {
  type Entry,
  type EntryHash,
  entryHashFromBytes,
  hashBytes,
  isKind,
} from '../../entities/roster/entry.ts';
import { decodeEntry } from '../../entities/roster/entry-codec.ts';
import type { Head } from '../../entities/roster/roster.ts';
import type { HelloItem, Item } from '../../entities/wire/items.ts';
import type { LogChange, MeshLog } from '../membership/mesh-log.ts';
import type { Office } from './office.ts';
import type { Peer, Question } from './peer.ts';

/** What goes into one parcel. */
const ENTRIES_BYTES = 48 * 1024;
const ENTRIES_COUNT = 256;
const SECOND = 1000;
const FIRST_PAUSE = 3 * SECOND;
const LONGEST_PAUSE = 3600 * SECOND;
const ASK_PAUSE = 10 * SECOND;
export const STALE_AFTER = 14 * 86_400 * SECOND;

export interface Gossip {
  load(): Promise<void>;
  /** The log grew: peers are told, but for the one that the entries came from. */
  grown(change: LogChange): void;
  /** `asked`: the question of ours that the hello answers. */
  onHello(peer: Peer, hello: HelloItem, asked: Question | undefined): void;
  onEntries(peer: Peer, entries: readonly Uint8Array[]): void;
  onWanted(peer: Peer, hashes: readonly Uint8Array[]): void;
  /** The digest of the peer's roster, after all that came with it was taken. */
  onDigest(peer: Peer, digest: Uint8Array): void;
  isDue(peer: Peer): boolean;
  /** What is to be sent next; it counts as sent. */
  itemsFor(peer: Peer): readonly Item[];
  /** Whether what is known of the membership was confirmed lately enough to send anything else upon it. */
  isFresh(): boolean;
  /** Somebody has just been paired with this device, in answer to its nonce, and knows nothing that it does not. */
  paired(): void;
  /** Nothing is left to be sent to those to whom anything can be sent. */
  isQuiet(): boolean;
  stop(): void;
}

export interface GossipParts {
  readonly office: Office;
  readonly log: MeshLog;
  readonly greet: (peer: Peer) => void;
  /** The device has shown, as a peer, what it holds. */
  readonly met: (device: DeviceId) => void;
  /** See `farewell`. */
  readonly told: () => readonly Uint8Array[];
}

export function createGossip({ office, log, greet, met, told }: GossipParts): Gossip {
  const { clock, cycle, keystore } = office;
  /** By the person's clock, because a device that is switched off grows stale too. */
  let synchronisedAt: number | undefined;
  /** Heads that a fresh hello named and that have to be here before it counts, and when it was asked for. */
  let awaited: { readonly hashes: readonly EntryHash[]; readonly askedAt: number } | undefined;
  const wants = new Set<DeviceId>();
  let cancelCheck: (() => void) | undefined;
  let pause = FIRST_PAUSE;
  let source: Peer | undefined;

  const inStep = (peer: Peer): boolean =>
    peer.gossip.digest !== undefined && equal(peer.gossip.digest, office.rosterDigest());

  /**
   * Counted from the question on: whoever holds the answer back, or the entries that it names, must not make it
   * any younger than it is.
   */
  function synchronised(askedAt: number): void {
    awaited = undefined;
    const at = Math.floor(clock.now() - (clock.elapsed() - askedAt));
    const before = synchronisedAt;
    if (before !== undefined && at < before && before <= clock.now()) return;
    synchronisedAt = at;
    // Kept to the hour: it is the fortnight that counts.
    if (before !== undefined && at >= before && at - before < 3600 * SECOND) return;
    cycle.change('synchronised', 'self', () => ({ at }));
  }

  function noteFresh(theirs: readonly Head[], askedAt: number): void {
    const hashes = unknown(log.membership(), theirs).map(({ hash }) => hash);
    awaited = { hashes, askedAt };
    if (hashes.length === 0) synchronised(askedAt);
  }

  function queueFor(peer: Peer, entries: Iterable<Entry>): void {
    for (const { hash } of entries) peer.gossip.queue.add(hash);
    if (peer.gossip.queue.size > 0) cycle.wake();
  }

  /** Looks again later whether everybody has what we have, after pauses that double. */
  function checkLater(): void {
    if (cancelCheck !== undefined) return;
    cancelCheck = clock.after(pause, () => {
      cancelCheck = undefined;
      pause = Math.min(LONGEST_PAUSE, pause * 2);
      let open = false;
      for (const peer of office.peers.values()) {
        // Whoever was not heard of in this run is being asked anyway.
        if (peer.gossip.digest === undefined || inStep(peer)) continue;
        open = true;
        if (peer.contact.cancelRetry === undefined) greet(peer);
      }
      if (open) checkLater();
    });
  }

  function ask(peer: Peer): void {
    wants.add(peer.id);
    cycle.wake();
  }

  return {
    async load() {
      synchronisedAt = (await keystore.read('synchronised', 'self'))?.at;
    },

    grown({ entries }) {
      // What came from others reaches the rest by the digests; only the author tells everybody at once.
      const own = entries.filter((entry) => entry.author.id === office.self.id);
      for (const peer of office.peers.values()) {
        for (const { hash } of entries) if (peer === source) peer.gossip.queue.delete(hash);
        if (own.length > 0) queueFor(peer, own);
      }
      if (awaited?.hashes.every((hash) => log.membership().log.has(hash))) synchronised(awaited.askedAt);
      pause = FIRST_PAUSE;
      cancelCheck?.();
      cancelCheck = undefined;
      checkLater();
    },

    onHello(peer, hello, asked) {
      const theirs = hello.heads.flatMap((mark): Head[] => {
        const author = deviceIdFromBytes(mark.author);
        const hash = entryHashFromBytes(mark.hash);
        // Signers of other kinds are for later versions.
        return author === undefined || hash === undefined ? [] : [{ author, sequence: mark.sequence, hash }];
      });
      log.sawHeads(peer.id, theirs);
      met(peer.id);
      const membership = log.membership();
      queueFor(peer, missing(membership, theirs));
      peer.gossip.told = false;
      if (wanted(membership).length > 0) ask(peer);
      if (asked === undefined) return;
      const chain = theirs.reduce((most, head) => {
        return head.author === peer.id ? Math.max(most, head.sequence) : most;
      }, 0);
      // It has forgotten what it wrote itself and showed us.
      if (chain < asked.chainThen) office.report({ what: 'peer-rolled-back', device: peer.id, count: 1 });
      if (peer.standing === 'member') noteFresh(theirs, asked.at);
    },

    onEntries(peer, list) {
      const entries: Entry[] = [];
      for (const bytes of list) {
        const entry = decodeEntry(office.hash, bytes);
        if ('refused' in entry) office.count(entry.refused);
        else entries.push(entry.ok);
      }
      source = peer;
      const outcomes = log.admit(entries);
      source = undefined;
      for (const outcome of outcomes) {
        if (outcome.outcome === 'refused') office.count(outcome.reason);
      }
      if (outcomes.some(({ outcome }) => outcome === 'pending')) ask(peer);
      cycle.wake();
    },

    onWanted(peer, hashes) {
      const asked = hashes.flatMap((bytes) => entryHashFromBytes(bytes) ?? []);
      queueFor(peer, answer(log.membership(), asked));
    },

    onDigest(peer, digest) {
      const { gossip } = peer;
      gossip.digest = digest;
      if (inStep(peer)) {
        gossip.asks = 0;
        gossip.asked = '';
        return;
      }
      const now = clock.elapsed();
      const compared = toHex(digest) + toHex(office.rosterDigest());
      if (compared === gossip.asked && now < gossip.askNotBefore) return;
      gossip.asks = compared === gossip.asked ? gossip.asks + 1 : 0;
      gossip.asked = compared;
      gossip.askNotBefore = now + Math.min(LONGEST_PAUSE, ASK_PAUSE * 2 ** gossip.asks);
      peer.due.hello ??= { answering: null };
      checkLater();
      cycle.wake();
    },

    isDue: (peer) =>
      peer.gossip.queue.size > 0 || wants.has(peer.id) || (told().length > 0 && !peer.gossip.told),

    itemsFor(peer) {
      const items: Item[] = [];
      const { queue } = peer.gossip;
      if (queue.size > 0) {
        const entries: Uint8Array[] = [];
        let bytes = 0;
        for (const entry of inSendingOrder(log, office.self.id, queue)) {
          if (entries.length === ENTRIES_COUNT || bytes + entry.bytes.length > ENTRIES_BYTES) break;
          queue.delete(entry.hash);
          entries.push(entry.bytes);
          bytes += entry.bytes.length;
        }
        if (entries.length > 0) items.push({ kind: 'entries', entries });
        checkLater();
      }
      if (told().length > 0 && !peer.gossip.told) {
        peer.gossip.told = true;
        items.push({ kind: 'entries', entries: told() });
      }
      if (wants.delete(peer.id)) {
        const hashes = wanted(log.membership()).slice(0, WANTED_MAX).map(hashBytes);
        if (hashes.length > 0) items.push({ kind: 'wanted', hashes });
      }
      return items;
    },

    isFresh() {
      if (synchronisedAt === undefined) return false;
      const age = clock.now() - synchronisedAt;
      // A clock that was set back by more than a day says nothing any more.
      return age < STALE_AFTER && age > -86_400 * SECOND;
    },

    paired: () => synchronised(clock.elapsed()),

    isQuiet: () =>
      [...office.peers.values()].every((peer) => {
        const cannot = peer.sessions.sessions.length === 0 && peer.theirKeys.length === 0;
        return cannot || peer.gossip.queue.size === 0;
      }),

    stop() {
      cancelCheck?.();
      cancelCheck = undefined;
    },
  };
}

/**
 * As admitted here, which is an order that admits there; but what removes this device comes last. Whoever applies
 * that first holds the rest back until somebody else vouches for it.
 */
function inSendingOrder(log: MeshLog, self: DeviceId, queue: ReadonlySet<EntryHash>): readonly Entry[] {
  const found = [...log.membership().log.values()].filter(({ hash }) => queue.has(hash));
  const removesSelf = (entry: Entry): boolean =>
    (isKind(entry, 'revoke') && entry.body.target === self) ||
    (isKind(entry, 'leave') && entry.author.id === self);
  return [...found.filter((entry) => !removesSelf(entry)), ...found.filter(removesSelf)];
}
