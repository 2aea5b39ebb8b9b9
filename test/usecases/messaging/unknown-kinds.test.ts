/** What a later version may send is passed over or refused by name, and what stands beside it counts. */
import { describe, expect, it } from 'vitest';
import { rewriting, withItems } from './rewriting.ts';
import { Rig, SECOND } from './rig.ts';

/** Gives the records of every batch another kind. */
const ofAnotherKind = withItems((items) =>
  items.map((item) => {
    if (!Array.isArray(item) || item[0] !== 1) return item;
    const records = item.at(-1);
    if (!Array.isArray(records)) return item;
    return [
      ...item.slice(0, -1),
      records.map((record) => (Array.isArray(record) ? [77, ...record.slice(1)] : record)),
    ];
  }),
);

describe('a message from a later version', () => {
  it('with an item of an unknown kind is read but for that item', async () => {
    const rig = await Rig.met();
    rig.laptop.engine.instead = withItems((items) => [[66, 'from the future'], ...items]);
    const receipt = await rig.send(rig.laptop, rig.phone, 'beside the unknown');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['beside the unknown']);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['delivered']);
    expect(rig.phone.count('item-unknown')).toBeGreaterThan(0);
  });

  it('with a record of an unknown kind uses up its number, and its sender learns that it failed', async () => {
    const rig = await Rig.met();
    await rig.send(rig.laptop, rig.phone, 'known');
    await rig.pass(5 * SECOND);
    rig.laptop.engine.instead = ofAnotherKind;
    const unknown = await rig.send(rig.laptop, rig.phone, 'unknown');
    await rig.pass(5 * SECOND);
    rig.laptop.engine.instead = (plaintext) => plaintext;
    const known = await rig.send(rig.laptop, rig.phone, 'known again');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['known', 'known again']);
    expect((await rig.laptop.messenger.delivery(unknown.id))?.to[0]).toMatchObject({
      state: 'failed',
      reason: 'not-understood',
    });
    expect(await rig.states(rig.laptop, known)).toEqual(['delivered']);
  });
});

describe('a message that is not what its envelope says', () => {
  it('is refused where another pair or direction stands inside, and comes again', async () => {
    const rig = await Rig.met();
    let times = 0;
    rig.laptop.engine.instead = (plaintext) => {
      times++;
      if (times > 1) return plaintext;
      return rewriting(([, roster = null, secret = null], items) => [
        new Uint8Array(32),
        roster,
        secret,
        items,
      ])(plaintext);
    };
    await rig.send(rig.laptop, rig.phone, 'for somebody else');
    await rig.pass(5 * SECOND);
    expect(rig.phone.count('context-mismatch')).toBe(1);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    await rig.pass(30 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['for somebody else']);
  });

  it('is refused where it brings a secret into a session that has one', async () => {
    const rig = await Rig.met();
    rig.laptop.engine.instead = rewriting(([context = null, roster = null], items) => [
      context,
      roster,
      new Uint8Array(32).fill(6),
      items,
    ]);
    await rig.send(rig.laptop, rig.phone, 'with a secret');
    await rig.pass(5 * SECOND);
    expect(rig.phone.count('secret-mismatch')).toBeGreaterThan(0);
    expect(await rig.payloads(rig.phone)).toEqual([]);
  });
});
