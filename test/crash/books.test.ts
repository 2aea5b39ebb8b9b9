import { describe, expect, it } from 'vitest';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { type Arrived, audit, type Fault, type Outcome, type Sent } from './books.ts';

const [LAPTOP, PHONE, PI] = ['laptop', 'phone', 'pi'] as DeviceId[] as [DeviceId, DeviceId, DeviceId];

const letter = (turn: number, over: Partial<Sent> = {}): Sent => ({
  id: `id ${turn}`,
  from: LAPTOP,
  to: [PHONE],
  caller: 'a script',
  turn,
  digest: `digest ${turn}`,
  accepted: true,
  ...over,
});

const copy = ({ id, from, turn, digest }: Sent, over: Partial<Arrived> = {}): Arrived => ({
  id,
  from,
  number: turn,
  digest,
  ...over,
});

const DELIVERED: Outcome = { state: 'delivered', mayHaveArrived: false };
const said = (state: string, mayHaveArrived = false): Outcome => ({ state, mayHaveArrived });

interface Case {
  readonly sent: readonly Sent[];
  readonly phone: readonly Arrived[];
  readonly outcomes?: Readonly<Record<string, Outcome>>;
}

/** The phone's inbox, and what the laptop says; without that everything was delivered to everybody. */
function faults({ sent, phone, outcomes }: Case): readonly Fault[] {
  const told = sent.map(({ id, to }): [string, Map<string, Outcome>] => {
    if (outcomes === undefined) return [id, new Map(to.map((device) => [device, DELIVERED]))];
    const outcome = outcomes[id];
    return [id, new Map(outcome === undefined ? [] : to.map((device) => [device, outcome]))];
  });
  return audit({ sent, inboxes: new Map([[PHONE, phone]]), outcomes: new Map(told) }).map(
    ({ fault }) => fault,
  );
}

const three = [letter(1), letter(2), letter(3)] as const;
const [first, second, third] = three;

describe('the books of a campaign', () => {
  it('have nothing to say where everything arrived once and in order', () => {
    expect(faults({ sent: three, phone: three.map((one) => copy(one)) })).toEqual([]);
  });

  it('show a message that was delivered by its sender and is not in the inbox', () => {
    expect(faults({ sent: three, phone: [copy(first), copy(third)] })).toEqual(['lost']);
  });

  it('show a message that was accepted, and of which nobody knows anything any more', () => {
    const outcomes = { [first.id]: DELIVERED, [third.id]: DELIVERED };
    expect(faults({ sent: three, phone: [copy(first), copy(third)], outcomes })).toEqual(['lost']);
  });

  it('show a message that arrived twice, and not also as one out of order', () => {
    const phone = [copy(first), copy(second), copy(third), copy(second, { number: 4 })];
    expect(faults({ sent: three, phone })).toEqual(['doubled']);
  });

  it('show messages of one caller that changed places', () => {
    const swapped = [copy(second, { number: 1 }), copy(first, { number: 2 }), copy(third)];
    expect(faults({ sent: three, phone: swapped })).toEqual(['reordered']);
  });

  it('show numbers of one sender that do not rise', () => {
    const others = [letter(1, { caller: 'one' }), letter(2, { caller: 'another' })];
    const phone = others.map((one) => copy(one, { number: 7 }));
    expect(faults({ sent: others, phone })).toEqual(['reordered']);
  });

  it('leave the order among several callers to chance', () => {
    const others = [letter(1, { caller: 'one' }), letter(2, { caller: 'another' })];
    const phone = [copy(letter(2), { number: 1 }), copy(letter(1), { number: 2 })];
    expect(faults({ sent: others, phone })).toEqual([]);
  });

  it('show other bytes than were sent', () => {
    const phone = [copy(first), copy(second, { digest: 'another' }), copy(third)];
    expect(faults({ sent: three, phone })).toEqual(['altered']);
  });

  it('show what nobody has sent, and what comes in the name of another', () => {
    expect(faults({ sent: [], phone: [copy(first)] })).toEqual(['unasked']);
    expect(faults({ sent: [first], phone: [copy(first, { from: PI })] })).toEqual(['unasked']);
  });

  it('show what arrived where it was not sent to', () => {
    const elsewhere = letter(1, { to: [PI] });
    const outcomes = new Map([[elsewhere.id, new Map([[PI, said('cancelled')]])]]);
    const found = audit({ sent: [elsewhere], inboxes: new Map([[PHONE, [copy(elsewhere)]]]), outcomes });
    expect(found.map(({ fault }) => fault)).toEqual(['unasked']);
  });

  it('look at each recipient of a message by itself', () => {
    const both = letter(1, { to: [PHONE, PI] });
    const told = new Map([[both.id, new Map(both.to.map((device) => [device, DELIVERED]))]]);
    const inboxes = new Map([
      [PHONE, [copy(both)]],
      [PI, []],
    ]);
    expect(audit({ sent: [both], inboxes, outcomes: told })).toMatchObject([
      { fault: 'lost', text: expect.stringContaining(' for pi ') },
    ]);
  });

  it('take each end that a sender reports, as long as it is true', () => {
    for (const state of ['expired', 'cancelled', 'failed']) {
      const outcomes = { [first.id]: said(state) };
      expect(faults({ sent: [first], phone: [], outcomes })).toEqual([]);
      expect(faults({ sent: [first], phone: [copy(first)], outcomes })).toEqual(['misreported']);
    }
    const outcomes = { [first.id]: said('expired', true) };
    expect(faults({ sent: [first], phone: [], outcomes })).toEqual([]);
    expect(faults({ sent: [first], phone: [copy(first)], outcomes })).toEqual([]);
  });

  it.each(['accepted', 'published'])('show what is still "%s" when all is at rest', (state) => {
    expect(faults({ sent: [first], phone: [copy(first)], outcomes: { [first.id]: said(state) } })).toEqual([
      'open',
    ]);
  });

  it('let a call without an answer be accepted or not, and nothing in between', () => {
    const unanswered = letter(1, { accepted: false });
    expect(faults({ sent: [unanswered], phone: [], outcomes: {} })).toEqual([]);
    expect(faults({ sent: [unanswered], phone: [copy(unanswered)] })).toEqual([]);
    expect(faults({ sent: [unanswered], phone: [copy(unanswered)], outcomes: {} })).toEqual(['unreported']);
    expect(faults({ sent: [unanswered], phone: [] })).toEqual(['lost']);
  });
});
