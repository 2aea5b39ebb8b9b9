/**
 * What was accepted and is not yet at its recipients. It holds plaintext: a resend is a fresh encryption with
 * the same message id. An entry leaves by being answered for, by expiring, by being cancelled, or because its
 * recipient is removed; how it ended stays visible for a week.
 *
 * One closure over one set of lots, though long: every way in which a number ends has to keep the same books.
 */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import {
  beginStream,
  type OutgoingStream,
  type Received,
  same,
  settle,
  settleThrough as settleStream,
  UNKNOWN_RUN,
  wasTaken,
} from '../../entities/outgoing-stream.ts';
import type { Circle } from '../../entities/roster/circle.ts';
import { type AckItem, STREAM_ID_BYTES } from '../../entities/wire/items.ts';
import type { DeliveryEnd, LotRecord } from '../ports/records.ts';
import { together } from './copies.ts';
import { endedKey } from './ended.ts';
import { createGoods } from './goods.ts';
import type { GroupSending } from './group-sending.ts';
import {
  type Addressee,
  addAddressee,
  addMessage,
  emptyLot,
  type Lot,
  lotFrom,
  lotRecord,
  messageRecord,
  NOT_IN_GROUP,
  runOf,
} from './lot.ts';
import type { Office } from './office.ts';
import { type Outgoing, packBatch } from './packing.ts';
import { type Peer, pendingAt } from './peer.ts';
import { pairChanged } from './sealing.ts';

export const OUTBOX_BYTES = 1024 * 1024 * 1024;
export const OUTBOX_MESSAGES = 500_000;

export interface Draft {
  readonly id: Uint8Array;
  readonly chosenId: boolean;
  readonly to: readonly Peer[];
  readonly payload: Uint8Array;
  readonly type: string;
  readonly thread: string | null;
  readonly group: Circle | null;
  readonly sentAt: number;
  readonly expiresAt: number;
}

export interface Outbox {
  /** Gives numbers to all of them, in one lot. */
  accept(drafts: readonly Draft[]): void;
  hasRoomFor(bytes: number, messages: number): boolean;
  /** What takes room: messages that are not over for everybody. */
  stats(): { readonly messages: number; readonly bytes: number };
  /** The next records for this peer from its cursor on; `undefined` where there are none, or not in memory. */
  nextBatch(peer: Peer): Outgoing | undefined;
  /** These records go out in an envelope. */
  attempted(peer: Peer, outgoing: Outgoing): void;
  acknowledge(peer: Peer, ack: AckItem): 'settled' | 'old' | 'ahead';
  /** The same from a hello, which says less about single records. */
  settleReceived(peer: Peer, received: Received): void;
  /** Numbers again what the peer did not take from this life of ours, behind everything it has taken. */
  renumber(peer: Peer, received: Received | undefined): void;
  runOf(peer: Peer, number: number): Uint8Array | undefined;
  /** The broker has the record with this number. */
  notifyPublished(peer: Peer, number: number): void;
  cancel(id: Uint8Array): readonly Addressee[];
  expire(now: number): void;
  /** Ends all that waits for a peer that was removed. */
  abandon(peer: Peer): void;
  /** Ends what waits for members of the mesh as members of a group that they are no longer in. */
  withdraw(isIn: (device: DeviceId, circle: Circle) => boolean): void;
  find(id: Uint8Array): readonly Addressee[];
  open(): readonly Addressee[];
  /** By message, what is over for everybody, but is not written down as ended yet: a lot ends as a whole. */
  over(): readonly (readonly Addressee[])[];
  load(lots: readonly (readonly [number, LotRecord])[], lastLot: number): void;
}

export type OutboxGroups = Pick<GroupSending, 'seal' | 'confirmed' | 'forget'>;

export function createOutbox(office: Office, groups: OutboxGroups): Outbox {
  const { cycle } = office;
  const lots = new Map<number, Lot>();
  const goods = createGoods(office, lots);
  const byMessage = new Map<string, readonly Addressee[]>();
  let lastLot = 0;
  let bytesHeld = 0;
  let messagesHeld = 0;

  function beginNumbering(peer: Peer): Numbering {
    const stream = peer.outgoing ?? beginStream(office.randomness(STREAM_ID_BYTES));
    return { stream, next: stream.next };
  }

  function adopt(lot: Lot): void {
    lots.set(lot.number, lot);
    for (const message of lot.messages) {
      bytesHeld += message.bytes;
      messagesHeld += 1;
      byMessage.set(toHex(message.id), message.to);
    }
  }

  function lotChanged(lot: Lot): void {
    const key = String(lot.number);
    cycle.change('lot', key, () => (lots.has(lot.number) ? lotRecord(lot) : undefined));
  }

  function end(addressee: Addressee, how: DeliveryEnd, reason: string | null): void {
    addressee.end = how;
    addressee.reason = reason;
    cycle.afterwards(() =>
      office.tell({ kind: 'delivery', id: addressee.message.id, device: addressee.device }),
    );
    if (addressee.over) return;
    addressee.over = true;
    addressee.message.open -= 1;
    if (addressee.message.open === 0) free(addressee);
  }

  /** A message that is over for everybody takes no room, though its numbers may wait for an answer yet. */
  function free({ message, lot }: Pick<Addressee, 'message' | 'lot'>): void {
    bytesHeld -= message.bytes;
    messagesHeld -= 1;
    groups.forget(message);
    lot.open -= 1;
    if (lot.open > 0) return;
    goods.drop(lot);
    cycle.change('goods', String(lot.number), () => undefined);
  }

  /** The number of this addressee is done with; with the last one of a lot, the lot goes. */
  function settled(addressee: Addressee): void {
    const { lot } = addressee;
    lot.unsettled -= 1;
    if (lot.unsettled === 0) close(lot);
  }

  function close(lot: Lot): void {
    goods.drop(lot);
    lots.delete(lot.number);
    for (const { open, bytes } of lot.messages) {
      if (open === 0) continue;
      bytesHeld -= bytes;
      messagesHeld -= 1;
    }
    // Until it is written how they ended, whoever asks is told from memory.
    cycle.afterwards(() => {
      for (const message of lot.messages) byMessage.delete(toHex(message.id));
    });
    const key = String(lot.number);
    cycle.change('lot', key, () => undefined);
    cycle.change('goods', key, () => undefined);
    const endedAt = Math.floor(office.runningTime());
    cycle.change('ended', endedKey(lot.number, endedAt), () => ({
      endedAt,
      messages: lot.messages.map(messageRecord),
    }));
  }

  function settleThrough(
    peer: Peer,
    through: number,
    outcome: (number: number) => [DeliveryEnd, string | null] | undefined,
  ): void {
    const { pending } = peer;
    let count = 0;
    for (const addressee of pending) {
      if (addressee.number > through) break;
      count++;
      const special = outcome(addressee.number);
      if (!addressee.over) {
        const [how, reason] = special ?? ['delivered', null];
        if (how === 'delivered' && addressee.sealedIn !== undefined) {
          groups.confirmed(peer.id, addressee.sealedIn);
        }
        end(addressee, how, reason);
        if (how !== 'delivered') lotChanged(addressee.lot);
      }
      settled(addressee);
    }
    pending.splice(0, count);
    peer.inFlight = peer.inFlight.filter((envelope) => envelope.last > through);
    if (peer.cursor <= through) peer.cursor = through + 1;
  }

  function renumber(peer: Peer, received: Received | undefined): void {
    if (peer.outgoing === undefined) return;
    const stream = peer.outgoing;
    const kept: Addressee[] = [];
    for (const addressee of peer.pending) {
      if (received !== undefined && wasTaken(received, addressee.number, runOf(addressee))) {
        // What this life has said meanwhile is put right: a number that was taken without a payload was cancelled,
        // or expired, in the life that is forgotten; one with a payload arrived, though this life had not sent it.
        const skipped = received.skipped.includes(addressee.number);
        const ended = addressee.over && addressee.end !== 'delivered';
        if (!skipped) end(addressee, 'delivered', null);
        else if (!ended) end(addressee, 'cancelled', null);
        lotChanged(addressee.lot);
        settled(addressee);
      } else {
        kept.push(addressee);
      }
    }
    let next = Math.max(stream.next, (received?.through ?? 0) + 1);
    const through = next - 1;
    for (const addressee of kept) {
      addressee.number = next++;
      addressee.run = office.run;
      lotChanged(addressee.lot);
    }
    peer.pending = kept;
    peer.outgoing = {
      ...stream,
      next,
      through,
      throughRun: UNKNOWN_RUN,
      offered: through,
      published: through,
    };
    peer.cursor = through + 1;
    peer.inFlight = [];
    peer.groupKeysSent.clear();
    pairChanged(office, peer);
  }

  return {
    hasRoomFor: (bytes, messages) =>
      bytesHeld + bytes <= OUTBOX_BYTES && messagesHeld + messages <= OUTBOX_MESSAGES,

    stats: () => ({ messages: messagesHeld, bytes: bytesHeld }),

    accept(drafts) {
      const lot = emptyLot(++lastLot, office.run);
      const next = new Map<Peer, Numbering>();
      for (const draft of drafts) {
        const message = addMessage(lot, { ...draft, bytes: draft.payload.length });
        for (const peer of draft.to) {
          let numbering = next.get(peer);
          if (numbering === undefined) {
            numbering = beginNumbering(peer);
            next.set(peer, numbering);
          }
          const { stream } = numbering;
          const number = numbering.next++;
          peer.pending.push(
            addAddressee(lot, message, { ...UNSENT, device: peer.id, stream: stream.id, number }),
          );
        }
      }
      for (const [peer, { stream, next: after }] of next) {
        peer.outgoing = { ...stream, next: after };
        pairChanged(office, peer);
      }
      const payloads = together(drafts.map((draft) => draft.payload));
      adopt(lot);
      goods.keep(lot, payloads);
      lotChanged(lot);
      cycle.change('goods', String(lot.number), () => (lots.has(lot.number) ? payloads : undefined));
      for (const draft of drafts) {
        if (draft.chosenId) cycle.change('chosen', toHex(draft.id), () => lot.number);
      }
    },

    nextBatch: (peer) => packBatch(peer, groups, goods),

    attempted(peer, { batch: { first, records }, beside }) {
      const forCircle = beside.values();
      records.forEach((record, i) => {
        const sealed = record.kind === 'group' ? forCircle.next().value : undefined;
        const addressee = pendingAt(peer, first + i);
        if (addressee === undefined) return;
        addressee.attempts += 1;
        addressee.sealedIn = sealed;
      });
    },

    acknowledge(peer, ack) {
      if (peer.outgoing === undefined) return 'old';
      const settlement = settle(peer.outgoing, ack, (number) => {
        const addressee = pendingAt(peer, number);
        return addressee === undefined ? undefined : runOf(addressee);
      });
      if (settlement === 'old' || settlement === 'other-stream') return 'old';
      if (settlement === 'ahead') return 'ahead';
      peer.outgoing = settlement.settled;
      pairChanged(office, peer);
      const skipped = new Set(ack.skipped);
      const refused = new Set(ack.refused);
      settleThrough(peer, ack.through, (number) => {
        if (refused.has(number)) return ['failed', 'not-understood'];
        if (!skipped.has(number)) return undefined;
        return [pendingAt(peer, number)?.end ?? 'cancelled', null];
      });
      return 'settled';
    },

    settleReceived(peer, received) {
      const { outgoing } = peer;
      if (outgoing === undefined || !same(outgoing.id, received.stream)) return;
      if (received.through <= outgoing.through) return;
      const { through } = received;
      const last = pendingAt(peer, through);
      if (last === undefined) throw new Error('a number without an entry');
      peer.outgoing = settleStream(outgoing, through, runOf(last));
      pairChanged(office, peer);
      settleThrough(peer, through, (number) => {
        return received.skipped.includes(number)
          ? [pendingAt(peer, number)?.end ?? 'cancelled', null]
          : undefined;
      });
    },

    renumber,

    runOf(peer, number) {
      const addressee = pendingAt(peer, number);
      return addressee === undefined ? undefined : runOf(addressee);
    },

    notifyPublished(peer, number) {
      const addressee = pendingAt(peer, number);
      if (addressee === undefined || addressee.over) return;
      office.tell({ kind: 'delivery', id: addressee.message.id, device: peer.id });
    },

    cancel(id) {
      const found = byMessage.get(toHex(id)) ?? [];
      for (const addressee of found) {
        if (addressee.over || addressee.end !== null) continue;
        const offered = office.peers.get(addressee.device)?.outgoing?.offered ?? 0;
        if (addressee.number > offered) end(addressee, 'cancelled', null);
        else addressee.end = 'cancelled';
        lotChanged(addressee.lot);
      }
      return found;
    },

    expire(now) {
      for (const peer of office.peers.values()) {
        for (const addressee of peer.pending) {
          if (addressee.over || addressee.message.expiresAt > now) continue;
          addressee.mayHaveArrived = addressee.number <= (peer.outgoing?.offered ?? 0);
          end(addressee, 'expired', null);
          lotChanged(addressee.lot);
        }
      }
    },

    abandon(peer) {
      const { pending } = peer;
      peer.pending = [];
      peer.inFlight = [];
      for (const addressee of pending) {
        if (!addressee.over) {
          addressee.mayHaveArrived = addressee.number <= (peer.outgoing?.offered ?? 0);
          end(addressee, 'failed', 'revoked');
        }
        settled(addressee);
      }
      // What it had taken is in no record yet: that follows from the stream, which goes now.
      for (const lot of lots.values()) {
        if (lot.messages.some(({ to }) => to.some(({ device }) => device === peer.id))) lotChanged(lot);
      }
    },

    withdraw(isIn) {
      for (const peer of office.peers.values()) {
        // Whoever is void may come back, and is sent nothing meanwhile.
        if (peer.standing !== 'member') continue;
        for (const addressee of peer.pending) {
          const { group } = addressee.message;
          if (addressee.over || group === null || isIn(peer.id, group)) continue;
          addressee.mayHaveArrived = addressee.number <= (peer.outgoing?.offered ?? 0);
          end(addressee, 'failed', NOT_IN_GROUP);
          lotChanged(addressee.lot);
        }
      }
    },

    find: (id) => byMessage.get(toHex(id)) ?? [],

    over: () => [...byMessage.values()].filter((to) => to.every((addressee) => addressee.over)),

    open: () => [...byMessage.values()].flat().filter((addressee) => !addressee.over),

    load(stored, last) {
      lastLot = last;
      for (const [number, record] of stored) adopt(lotFrom(number, record));
      for (const lot of lots.values()) {
        for (const message of lot.messages) {
          for (const addressee of message.to) {
            const peer = office.peers.get(addressee.device);
            const done = peer?.outgoing === undefined || addressee.number <= peer.outgoing.through;
            if (addressee.number <= (peer?.outgoing?.offered ?? 0)) addressee.attempts ||= 1;
            if (done) {
              lot.unsettled -= 1;
              if (!addressee.over) {
                addressee.over = true;
                addressee.end = peer === undefined ? 'failed' : 'delivered';
                message.open -= 1;
              }
            } else peer.pending.push(addressee);
          }
        }
      }
      for (const lot of lots.values()) {
        for (const message of lot.messages) if (message.open === 0) free({ message, lot });
      }
      // Their last recipients are no longer there.
      for (const lot of [...lots.values()]) if (lot.unsettled === 0) close(lot);
      for (const peer of office.peers.values()) peer.pending.sort((a, b) => a.number - b.number);
    },
  };
}

/** The numbers that one lot takes of a stream. */
interface Numbering {
  readonly stream: OutgoingStream;
  next: number;
}

const UNSENT = {
  run: null,
  end: null,
  over: false,
  mayHaveArrived: false,
  reason: null,
  attempts: 0,
} as const;

export function stateOf(addressee: Addressee, published: number): 'accepted' | 'published' | DeliveryEnd {
  if (addressee.over && addressee.end !== null) return addressee.end;
  return addressee.number <= published ? 'published' : 'accepted';
}

export type DeviceState = ReturnType<typeof stateOf>;
export interface Delivery {
  readonly deviceId: DeviceId;
  readonly state: DeviceState;
  readonly mayHaveArrived: boolean;
  readonly reason: string | null;
  /** How often it was put into an envelope for this recipient, as far as that is known: see `lot`. */
  readonly attempts: number;
}

export interface Receipt {
  readonly id: Uint8Array;
  /** The circle that it was addressed to. */
  readonly group: Circle | null;
  readonly to: readonly Delivery[];
}
