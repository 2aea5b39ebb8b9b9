/** Taking a message on: what is refused at once, what a repeated call means, and who shares a lot. */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { Result } from '../../entities/result.ts';
import { type Circle, circleMembers, EVERYBODY } from '../../entities/roster/circle.ts';
import type { Roster } from '../../entities/roster/roster.ts';
import { isWellFormed } from '../../entities/text.ts';
import { MAX_PAYLOAD_BYTES } from '../../entities/wire/items.ts';
import { MAX_TYPE_CHARACTERS, MESSAGE_ID_BYTES } from '../../entities/wire/records.ts';
import { createCopies } from './copies.ts';
import type { Ended } from './ended.ts';
import type { Addressee } from './lot.ts';
import type { Office } from './office.ts';
import { type Draft, type Outbox, type Receipt, stateOf } from './outbox.ts';
import type { Peer } from './peer.ts';

export const DEFAULT_TTL = 30 * 86_400_000;
const SHORT_LIFE = 2 * 60_000;
const IDS_AT_A_TIME = 64;
/** What one lot takes. More would make the first message of a burst wait until the last one is written. */
const LOT_MESSAGES = 1024;
const LOT_BYTES = 1024 * 1024;

/** Control characters, and the mark that decoders of UTF-8 like to swallow: what is sent arrives as it was. */
const UNFIT = /[\p{Cc}\uFEFF]/u;

export interface SendRequest {
  /** Devices, or all that are in a circle when the message is taken on. */
  readonly to: readonly DeviceId[] | Circle;
  readonly payload: Uint8Array;
  readonly type?: string;
  readonly thread?: string;
  /** Milliseconds of running time. */
  readonly ttl?: number;
  /** Makes a repeated call harmless. */
  readonly id?: Uint8Array;
}

export type SendRefusal =
  | 'payload-too-large'
  | 'label-too-long'
  | 'label-unprintable'
  | 'no-recipient'
  | 'unknown-recipient'
  | 'unknown-group'
  | 'outbox-full'
  | 'message-id-invalid';

export interface Accepting {
  /** Resolves once the message is durable. */
  send(request: SendRequest): Promise<Result<Receipt, SendRefusal>>;
  /** How a message stands; also how it ended, for a week. */
  delivery(id: Uint8Array): Promise<Receipt | undefined>;
  /** How messages ended in the last week, the oldest first. */
  ended(): Promise<readonly (Receipt & { readonly sentAt: number })[]>;
  receiptOf(id: Uint8Array, addressees: readonly Addressee[]): Receipt;
  /** Gives numbers to what was asked for before a commit began, as far as it makes a lot; the rest is for the next. */
  acceptGathered(): void;
}

interface Gathered {
  readonly draft: Draft;
  readonly done: (result: Result<Receipt, SendRefusal>) => void;
}

export function createAccepting(
  office: Office,
  outbox: Outbox,
  ended: Ended,
  roster: () => Roster,
): Accepting {
  const { cycle, peers, clock } = office;
  const copyOf = createCopies();
  const gathered: Gathered[] = [];
  let gatheredBytes = 0;
  /** Calls with an id of the caller's that are not over yet: a repeated one waits for the first. */
  const choosing = new Map<string, Promise<Result<Receipt, SendRefusal>>>();
  let lastChosen: Promise<void> = Promise.resolve();

  function receiptOf(id: Uint8Array, addressees: readonly Addressee[]): Receipt {
    return {
      id,
      group: addressees[0]?.message.group ?? null,
      to: addressees.map((addressee) => ({
        deviceId: addressee.device,
        state: stateOf(addressee, peers.get(addressee.device)?.outgoing?.published ?? 0),
        mayHaveArrived: addressee.mayHaveArrived,
        reason: addressee.reason,
        attempts: addressee.attempts,
      })),
    };
  }

  async function delivery(id: Uint8Array): Promise<Receipt | undefined> {
    const open = outbox.find(id);
    if (open.length > 0) return receiptOf(id, open);
    return (await ended.ofChosen(id)) ?? ended.of(id);
  }

  function draftOf(request: SendRequest): Result<Omit<Draft, 'id' | 'chosenId'>, SendRefusal> {
    const { payload, type = 'text/plain', thread = null, ttl = DEFAULT_TTL } = request;
    if (payload.length > MAX_PAYLOAD_BYTES) return { refused: 'payload-too-large' };
    if (type.length > MAX_TYPE_CHARACTERS || (thread?.length ?? 0) > MAX_TYPE_CHARACTERS) {
      return { refused: 'label-too-long' };
    }
    if (UNFIT.test(type) || UNFIT.test(thread ?? '') || !isWellFormed(type + (thread ?? ''))) {
      return { refused: 'label-unprintable' };
    }
    if (request.id !== undefined && request.id.length !== MESSAGE_ID_BYTES) {
      return { refused: 'message-id-invalid' };
    }
    const group = typeof request.to === 'string' ? request.to : null;
    const to = typeof request.to === 'string' ? inCircle(request.to) : named(request.to);
    if ('refused' in to) return to;
    const sentAt = Math.floor(clock.now());
    const expiresAt = Math.floor(office.runningTime() + ttl);
    return { ok: { to: to.ok, payload: copyOf(payload), type, thread, group, sentAt, expiresAt } };
  }

  function named(devices: readonly DeviceId[]): Result<readonly Peer[], SendRefusal> {
    if (devices.length === 0) return { refused: 'no-recipient' };
    const to: Peer[] = [];
    for (const id of new Set(devices)) {
      const peer = peers.get(id);
      if (peer === undefined || !office.isSibling(peer)) return { refused: 'unknown-recipient' };
      to.push(peer);
    }
    return { ok: to };
  }

  function inCircle(circle: Circle): Result<readonly Peer[], SendRefusal> {
    const members = circleMembers(roster(), circle);
    const exists = circle === EVERYBODY || roster().groups.some(({ id }) => id === circle);
    if (!exists) return { refused: 'unknown-group' };
    const to = [...peers.values()].filter((peer) => members.has(peer.id) && office.isSibling(peer));
    return to.length === 0 ? { refused: 'no-recipient' } : { ok: to };
  }

  /** Much may have changed since the call. */
  function stillRecipients({ group, to }: Draft): Result<readonly Peer[], SendRefusal> {
    if (group !== null) return inCircle(group);
    const left = to.some((peer) => peer.gone) ? to.filter((peer) => !peer.gone) : to;
    return left.length === 0 ? { refused: 'unknown-recipient' } : { ok: left };
  }

  /** What lives for less than a housekeeper's round ends on time too. */
  function expireSoon(expiresAt: number): void {
    const left = expiresAt - office.runningTime();
    if (left < SHORT_LIFE) clock.after(Math.max(0, left) + 1, () => outbox.expire(office.runningTime()));
  }

  let drawn: Uint8Array = new Uint8Array(0);
  /** Drawn for many at a time: a call of the platform costs more than the rest of taking on a message. */
  function nextId(): Uint8Array {
    if (drawn.length === 0) drawn = office.randomness(MESSAGE_ID_BYTES * IDS_AT_A_TIME);
    const id = new Uint8Array(drawn.subarray(0, MESSAGE_ID_BYTES));
    drawn = drawn.subarray(MESSAGE_ID_BYTES);
    return id;
  }

  function accept(draft: Draft): Promise<Result<Receipt, SendRefusal>> {
    if (!outbox.hasRoomFor(gatheredBytes + draft.payload.length, gathered.length + 1)) {
      return Promise.resolve({ refused: 'outbox-full' });
    }
    return new Promise((resolve) => {
      gathered.push({ draft, done: resolve });
      gatheredBytes += draft.payload.length;
      cycle.wake();
    });
  }

  async function acceptOnce(draft: Draft): Promise<Result<Receipt, SendRefusal>> {
    // One after the other, so that looking an id up does not change the order in which messages were sent.
    const turn = lastChosen.then(() => ended.ofChosen(draft.id));
    lastChosen = turn.then(
      () => undefined,
      () => undefined,
    );
    const before = await turn;
    const open = outbox.find(draft.id);
    if (open.length > 0) return { ok: receiptOf(draft.id, open) };
    return before === undefined ? accept(draft) : { ok: before };
  }

  return {
    delivery,
    receiptOf,

    async ended() {
      // Looked at first: what is written down meanwhile is then seen twice rather than not at all.
      const unwritten = outbox.over().flatMap((to) => {
        const [first] = to;
        if (first === undefined) return [];
        const { id, sentAt } = first.message;
        return [{ ...receiptOf(id, to), sentAt }];
      });
      const all = new Map(unwritten.map((receipt) => [toHex(receipt.id), receipt]));
      for (const receipt of await ended.all()) all.set(toHex(receipt.id), receipt);
      return [...all.values()].sort((a, b) => a.sentAt - b.sentAt);
    },

    async send(request) {
      const draft = draftOf(request);
      if ('refused' in draft) return draft;
      const { id } = request;
      if (id === undefined) {
        return accept({ ...draft.ok, id: nextId(), chosenId: false });
      }
      const name = toHex(id);
      const earlier = choosing.get(name);
      if (earlier === undefined) {
        const sending = acceptOnce({ ...draft.ok, id: new Uint8Array(id), chosenId: true });
        choosing.set(name, sending);
        return sending.finally(() => choosing.delete(name));
      }
      const outcome = await earlier;
      return 'refused' in outcome ? outcome : { ok: (await delivery(id)) ?? outcome.ok };
    },

    acceptGathered() {
      if (gathered.length === 0) return;
      const accepted: Gathered[] = [];
      let bytes = 0;
      let taken = 0;
      for (const { draft, done } of gathered) {
        const { length } = draft.payload;
        if (taken === LOT_MESSAGES || (bytes + length > LOT_BYTES && taken > 0)) break;
        bytes += length;
        taken += 1;
        const to = stillRecipients(draft);
        if ('refused' in to) done(to);
        else if (to.ok === draft.to) accepted.push({ draft, done });
        else accepted.push({ draft: { ...draft, to: to.ok }, done });
      }
      gathered.splice(0, taken);
      gatheredBytes -= bytes;
      if (gathered.length > 0) cycle.wake();
      if (accepted.length === 0) return;
      outbox.accept(accepted.map(({ draft }) => draft));
      for (const { draft } of accepted) expireSoon(draft.expiresAt);
      cycle.afterwards(() => {
        for (const { draft, done } of accepted) done({ ok: receiptOf(draft.id, outbox.find(draft.id)) });
      });
    },
  };
}
