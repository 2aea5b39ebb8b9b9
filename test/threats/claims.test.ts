/** A member that makes things up about what it has and whom it has heard. */
import { describe, expect, it } from 'vitest';
import { deviceIdBytes } from '../../src/entities/device-id.ts';
import type { Value } from '../../src/entities/wire/cbor.ts';
import { withItems } from '../usecases/messaging/rewriting.ts';
import { MINUTE, Rig, SECOND } from '../usecases/messaging/rig.ts';

const ACK = 2;
const HELLO = 3;

/** Claims in every acknowledgement to have taken what was never sent. */
const boasting = withItems((items) =>
  items.map((item) => {
    if (!Array.isArray(item) || item[0] !== ACK) return item;
    const [kind, stream, , ...rest] = item as readonly Value[];
    return [kind ?? ACK, stream ?? null, 1_000_000, ...rest];
  }),
);

describe('a member that claims to have what was never sent to it', () => {
  it('makes this device begin anew with everybody, and nothing is lost or doubled', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, 'all', 'before');
    await rig.pass(5 * SECOND);
    rig.phone.engine.instead = boasting;
    await rig.send(rig.laptop, rig.phone, 'to the liar');
    await rig.pass(SECOND);
    rig.phone.engine.instead = (plaintext) => plaintext;
    await rig.send(rig.laptop, 'all', 'after');
    await rig.pass(5 * MINUTE);
    expect(rig.laptop.incidents.map(({ what }) => what)).toContain('rolled-back');
    expect(await rig.payloads(rig.pi)).toEqual(['before', 'after']);
    expect(await rig.payloads(rig.phone)).toEqual(['before', 'to the liar', 'after']);
  });

  it('is greeted no more than once a second, however often it says so', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.send(rig.laptop, rig.phone, 'before');
    await rig.pass(5 * SECOND);
    rig.phone.engine.instead = boasting;
    const since = rig.post.log.length;
    await rig.send(rig.laptop, rig.phone, 'to the liar');
    await rig.pass(30 * SECOND);
    const greetings = rig.kinds(rig.sent(rig.laptop, rig.phone, since)).filter((kind) => kind === 'greeting');
    expect(greetings.length).toBeGreaterThan(0);
    expect(greetings.length).toBeLessThanOrEqual(35);
  });
});

describe('a member that claims to have heard another', () => {
  it('can make the broker suspect, and nothing else', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.pass(MINUTE);
    await rig.stop(rig.pi);
    await rig.send(rig.laptop, rig.pi, 'are you there?');
    rig.phone.engine.instead = withItems((items) =>
      items.map((item) => {
        if (!Array.isArray(item) || item[0] !== HELLO) return item;
        return [...item.slice(0, 7), [[deviceIdBytes(rig.pi.id), 0]]];
      }),
    );
    await rig.pass(30 * MINUTE);
    rig.post.disconnect(rig.phone.id);
    rig.post.connect(rig.phone.id, true);
    await rig.pass(MINUTE);
    expect(rig.laptop.incidents.filter(({ what }) => what === 'peer-withheld')).toHaveLength(1);
    await rig.start(rig.pi);
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.pi)).toEqual(['are you there?']);
  });
});
