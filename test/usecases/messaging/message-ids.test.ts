import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/entities/bytes.ts';
import { Rig, SECOND, text } from './rig.ts';

const id = new Uint8Array(16).fill(0x42);

describe('a message with an id of the caller', () => {
  it('is sent once, however often it is asked for: one after the other, and once it has arrived', async () => {
    const rig = await Rig.met();
    const first = await rig.send(rig.laptop, rig.phone, { payload: text('once'), id });
    const second = await rig.send(rig.laptop, rig.phone, { payload: text('once'), id });
    await rig.pass(5 * SECOND);
    const third = await rig.send(rig.laptop, rig.phone, { payload: text('once'), id });
    await rig.pass(5 * SECOND);
    expect([first, second, third].map((receipt) => toHex(receipt.id))).toEqual(Array(3).fill(toHex(id)));
    expect(third.to.map(({ state }) => state)).toEqual(['delivered']);
    expect(await rig.payloads(rig.phone)).toEqual(['once']);
  });

  it('is sent once when several ask at the same time', async () => {
    const rig = await Rig.met();
    const asking = Array.from({ length: 20 }, () =>
      rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('once'), id }),
    );
    await rig.pass(5 * SECOND);
    for (const receipt of await Promise.all(asking)) expect('ok' in receipt).toBe(true);
    expect(await rig.payloads(rig.phone)).toEqual(['once']);
  });

  it('is sent once, whatever the moment at which a second one asks', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const rig = await Rig.met();
      const request = { to: [rig.phone.id], payload: text('once'), id };
      const first = rig.laptop.messenger.send(request);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      const position = rig.laptop.position;
      let confirmedAt = 0;
      const second = rig.laptop.messenger.send(request).then((receipt) => {
        confirmedAt = rig.laptop.position;
        return receipt;
      });
      await rig.pass(5 * SECOND);
      for (const receipt of await Promise.all([first, second])) expect('ok' in receipt).toBe(true);
      expect(await rig.payloads(rig.phone)).toEqual(['once']);
      // Whoever asks while the first is being written hears of it only once it is.
      if (turns < 4) expect(confirmedAt).toBeGreaterThan(position);
    }
  });

  it('is sent once when the power goes between its commit and the answer to the caller', async () => {
    const rig = await Rig.met();
    rig.laptop.disk.cutPowerAt(rig.laptop.disk.steps + 1, 'after');
    rig.laptop.mayEnd = true;
    let answered = false;
    rig.laptop.messenger.send({ to: [rig.phone.id], payload: text('once'), id }).then(
      () => {
        answered = true;
      },
      () => undefined,
    );
    await rig.pass(SECOND);
    expect(answered).toBe(false);
    await rig.restart(rig.laptop);
    await rig.send(rig.laptop, rig.phone, { payload: text('once'), id });
    await rig.pass(30 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['once']);
  });
});
