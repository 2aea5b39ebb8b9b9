/**
 * What was sent, what arrived and what the senders say has become of it, and whether these fit together: the promise
 * that nothing accepted is lost and nothing arrives twice, as somebody sees it who has only the program. Pure.
 */
import type { DeviceId } from '../../src/entities/device-id.ts';

export interface Sent {
  readonly id: string;
  readonly from: DeviceId;
  readonly to: readonly DeviceId[];
  /** Whoever sends one message after the other: only what comes from one caller has an order. */
  readonly caller: string;
  /** Which of that caller's messages it is. */
  readonly turn: number;
  readonly digest: string;
  /** The caller was told so. Without that it may have been accepted, or not. */
  readonly accepted: boolean;
}

export interface Arrived {
  readonly id: string;
  readonly from: string;
  /** The sender's number for it. */
  readonly number: number;
  readonly digest: string;
}

/** How a message stands with one recipient, as `mesh outbox --all` says it. */
export interface Outcome {
  readonly state: string;
  readonly mayHaveArrived: boolean;
}

export interface Books {
  readonly sent: readonly Sent[];
  /** By recipient, in the order of its inbox. */
  readonly inboxes: ReadonlyMap<DeviceId, readonly Arrived[]>;
  /** By message and recipient. */
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, Outcome>>;
}

export type Fault =
  | 'lost'
  | 'doubled'
  | 'reordered'
  | 'altered'
  | 'unasked'
  | 'open'
  | 'unreported'
  | 'misreported';

export interface Finding {
  readonly fault: Fault;
  readonly text: string;
}

/** All that does not fit, in a mesh in which everything has come to rest. */
export function audit({ sent, inboxes, outcomes }: Books): readonly Finding[] {
  const findings: Finding[] = [];
  const known = new Map(sent.map((message) => [message.id, message]));
  for (const [device, arrived] of inboxes) findings.push(...inboxFaults(device, arrived, known));
  const copies = new Map([...inboxes].map(([device, arrived]) => [device, countById(arrived)]));
  for (const message of sent) {
    for (const device of message.to) {
      const count = copies.get(device)?.get(message.id) ?? 0;
      const outcome = outcomes.get(message.id)?.get(device);
      const fault = count > 1 ? 'doubled' : deliveryFault(message.accepted, outcome, count);
      if (fault === undefined) continue;
      const said = outcome === undefined ? 'nothing' : describe(outcome);
      const text = `${name(message)} for ${device} arrived ${count} times, and its sender says ${said}`;
      findings.push({ fault, text });
    }
  }
  return findings;
}

function deliveryFault(accepted: boolean, outcome: Outcome | undefined, count: number): Fault | undefined {
  switch (outcome?.state) {
    case undefined:
      if (accepted) return count === 0 ? 'lost' : 'unreported';
      return count === 0 ? undefined : 'unreported';
    case 'delivered':
      return count === 1 ? undefined : 'lost';
    case 'expired':
      return count === 0 || outcome?.mayHaveArrived === true ? undefined : 'misreported';
    case 'failed':
    case 'cancelled':
      return count === 0 ? undefined : 'misreported';
    default:
      return 'open';
  }
}

/** What one inbox shows by itself: strangers, changed bytes, a wrong order. */
function inboxFaults(
  device: DeviceId,
  arrived: readonly Arrived[],
  known: ReadonlyMap<string, Sent>,
): readonly Finding[] {
  const findings: Finding[] = [];
  const turns = new Map<string, Sent>();
  const numbers = new Map<string, number>();
  const seen = new Set<string>();
  for (const one of arrived) {
    const message = known.get(one.id);
    if (message === undefined || !message.to.includes(device) || message.from !== one.from) {
      findings.push({ fault: 'unasked', text: `${one.id} from ${one.from} at ${device}` });
      continue;
    }
    // A second copy is a fault of its own, and says nothing about the order.
    if (seen.has(one.id)) continue;
    seen.add(one.id);
    if (one.digest !== message.digest) {
      findings.push({ fault: 'altered', text: `${name(message)} at ${device}` });
    }
    const before = turns.get(message.caller);
    if (before !== undefined && before.turn > message.turn) {
      findings.push({
        fault: 'reordered',
        text: `${name(message)} came behind ${name(before)} at ${device}`,
      });
    }
    turns.set(message.caller, message);
    const last = numbers.get(one.from) ?? 0;
    if (one.number <= last) {
      findings.push({
        fault: 'reordered',
        text: `${name(message)} at ${device} has ${one.number} behind ${last}`,
      });
    }
    numbers.set(one.from, one.number);
  }
  return findings;
}

function countById(arrived: readonly Arrived[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { id } of arrived) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

const name = ({ id, caller, turn }: Sent): string => `message ${turn} of ${caller} (${id})`;

const describe = ({ state, mayHaveArrived }: Outcome): string =>
  mayHaveArrived ? `${state}, may have arrived` : state;
