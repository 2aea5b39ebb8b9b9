/** A broker that hands packets out more than once: at once, or everything it ever had, much later. */
import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, Rig, SECOND } from '../usecases/messaging/rig.ts';
import type { RigDevice } from '../usecases/messaging/rig-device.ts';

/** Every pair talks, and everybody to everybody. */
async function talk(rig: Rig, rounds: number): Promise<Map<RigDevice, string[]>> {
  const expected = new Map<RigDevice, string[]>(rig.devices.map((device) => [device, []]));
  for (let round = 0; round < rounds; round++) {
    for (const from of rig.devices) {
      const to = rig.devices.filter((device) => device !== from);
      for (const [what, send] of [
        [`${from.name} ${round}`, () => rig.send(from, to, `${from.name} ${round}`)],
        [`${from.name} ${round} to all`, () => rig.send(from, 'all', `${from.name} ${round} to all`)],
      ] as const) {
        await send();
        for (const device of to) expected.get(device)?.push(what);
      }
    }
    await rig.pass(10 * SECOND);
  }
  return expected;
}

async function expectEachOnce(expected: ReadonlyMap<RigDevice, string[]>, rig: Rig): Promise<void> {
  for (const [device, payloads] of expected) {
    expect((await rig.payloads(device)).sort(), device.name).toEqual([...payloads].sort());
  }
}

const ratchetWork = ({ engine }: RigDevice): unknown => {
  const { verify: _, ...work } = engine.counts;
  return work;
};

/** All that a packet could change: what it shares with the others, its ratchets, its roster, its inbox. */
async function stateOf(device: RigDevice, among: readonly RigDevice[]): Promise<unknown> {
  const others = among.filter((other) => other !== device);
  const pairs = await Promise.all(others.map((other) => device.pair(other)));
  const { digest } = device.messenger.log.membership().roster;
  const inbox = await device.messenger.inbox.read({ batch: 0, index: 0 });
  return { pairs, work: ratchetWork(device), digest, inbox };
}

describe('a broker that delivers every packet three times', () => {
  it('has nothing read twice, and no ratchet worked for it', async () => {
    const rig = await Rig.make({ devices: 3 });
    const distinct = new Map<RigDevice, number>(rig.devices.map((device) => [device, 0]));
    rig.post.fate = (packet) => {
      const to = rig.devices.find(({ id }) => id === packet.to);
      const { kind } = rig.envelope(packet);
      if (to !== undefined && (kind === 'sealed' || kind === 'initial')) {
        distinct.set(to, (distinct.get(to) ?? 0) + 1);
      }
      rig.post.enqueue(packet);
      rig.post.enqueue(packet);
      return 'deliver';
    };
    await rig.startAll();
    await rig.pass(5 * SECOND);
    const expected = await talk(rig, 5);
    await rig.pass(MINUTE);
    await expectEachOnce(expected, rig);
    for (const device of rig.devices) {
      const { decrypt, acceptSession } = device.engine.counts;
      expect(decrypt + acceptSession, device.name).toBeLessThanOrEqual(distinct.get(device) ?? 0);
      expect(device.count('replayed'), device.name).toBeGreaterThan(distinct.get(device) ?? 0);
      expect(device.count('undecryptable'), device.name).toBe(0);
    }
  });
});

describe('a broker that hands out its whole log again', () => {
  it('changes nothing and is answered with nothing, hours later and after a restart of everybody', async () => {
    const rig = await Rig.met({ devices: 4 });
    const expected = await talk(rig, 4);
    // What it holds from before a removal does not take that back either.
    const thief = rig.device(3);
    await rig.revoke(rig.laptop, thief);
    await rig.pass(MINUTE);
    const remaining = [rig.laptop, rig.phone, rig.pi];
    await rig.stop(thief);
    await rig.pass(3 * HOUR);
    for (const device of remaining) await rig.restart(device);
    await rig.pass(20 * MINUTE);
    const log = rig.post.log.slice();
    const states = (): Promise<unknown[]> =>
      Promise.all(remaining.map((device) => stateOf(device, remaining)));
    const before = await states();
    for (const packets of [log, [...log].reverse()]) {
      for (const { to, bytes } of packets) rig.post.hand(to, bytes);
      await rig.settle();
    }
    expect(await states()).toEqual(before);
    for (const device of remaining) {
      const told = device.incidents.filter(({ what }) => what === 'packets-replayed');
      expect(told.length, device.name).toBeGreaterThan(0);
    }
    // All that is said to it is, once, that the removed device is one.
    const said = rig.post.log.slice(log.length);
    expect(rig.kinds(said).filter((kind) => kind !== 'notice')).toEqual([]);
    expect(said.every(({ to }) => to === thief.id)).toBe(true);
    expect(said.length).toBeLessThanOrEqual(remaining.length);
    for (const device of remaining) {
      expect(device.count('replayed') + device.count('replayed-late'), device.name).toBeGreaterThan(50);
      expect(device.messenger.log.membership().roster.members.has(thief.id), device.name).toBe(false);
    }
    expected.delete(thief);
    await expectEachOnce(expected, rig);
    await rig.send(rig.laptop, rig.phone, 'and on it goes');
    await rig.pass(SECOND);
    expect((await rig.payloads(rig.phone)).at(-1)).toBe('and on it goes');
  });
});
