/** People who have seen the link, brokers that lie, and links that are not what they should be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { inviteTag, pairingMac } from '../../../src/entities/pairing/keys.ts';
import type { InviteLink } from '../../../src/entities/pairing/link.ts';
import { encodeEnvelope, type PairingStep } from '../../../src/entities/wire/envelope.ts';
import type { Packet } from '../messaging/post.ts';
import { BROKER, DAY, type Device, expectMarried, MINUTE, PairingRig, SECOND } from './rig.ts';

const { mac } = nodePrimitives;

async function three(): Promise<[rig: PairingRig, laptop: Device, phone: Device, tablet: Device]> {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone", 'a stolen tablet');
  await rig.device(0).serve();
  return [rig, rig.device(0), rig.device(1), rig.device(2)];
}

const reasons = (device: Device): unknown[] =>
  device.news.flatMap((news) => (news.kind === 'invite' && news.what === 'ended' ? [news.reason] : []));

/** What somebody with the link can say without any session. */
function forged(
  link: InviteLink,
  from: Device,
  to: Device,
  step: PairingStep,
  body: Uint8Array,
  direction: 'to inviter' | 'to newcomer' = 'to inviter',
): Uint8Array {
  const ends =
    direction === 'to inviter'
      ? { inviter: to.id, newcomer: from.id }
      : { inviter: from.id, newcomer: to.id };
  return encodeEnvelope(
    { kind: 'pairing', from: from.id, step, tag: inviteTag(mac, link.secret), body },
    (covered) => pairingMac(mac, link.secret, direction, ends, covered),
  );
}

describe('a link that somebody else has photographed', () => {
  it('gives a second claimant nothing, and the first one goes on', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    await rig.meet(laptop, phone, link);
    await tablet.join(link);
    await rig.pass(5 * SECOND);
    expect(tablet.result).toEqual({ refused: 'invite-used' });
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('gives whoever was first nothing either: the code on the honest screen is not its code', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    await rig.meet(laptop, tablet, link);
    await phone.join(link);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'invite-used' });
    expect(phone.codes).toEqual([]);
    // The person sees a stranger ask, and declines; or types what some other screen shows.
    expect(await rig.during(laptop.inviting.approve('12345678'))).toEqual({ refused: 'code-wrong' });
    await rig.pass(MINUTE);
    expect(tablet.result).toEqual({ refused: 'invite-wrong-code' });
    expect(await laptop.members()).toEqual([laptop.id]);
    // Late, the honest one still hears that it was somebody else.
    await phone.join(link);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'invite-used' });
  });

  it('does not let somebody who stands in between replace what the newcomer says', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    // Mallory's broker: whatever the phone says vanishes, and Mallory's tablet pairs in its place.
    const fromPhone: Packet[] = [];
    rig.post.fate = (packet) => {
      if (packet.from !== phone.id) return 'deliver';
      fromPhone.push(packet);
      return 'drop';
    };
    await tablet.join(link);
    await phone.join(link);
    await rig.pass(5 * SECOND);
    expect(laptop.inviting.requests()).toMatchObject([{ deviceId: tablet.id }]);
    expect(phone.codes).toEqual([]);
    // Even an answer to the tablet, handed to the phone, is not one for the phone.
    const answer = rig.post.log.find((packet) => packet.to === tablet.id);
    rig.post.hand(phone.id, answer?.bytes ?? new Uint8Array(0));
    await rig.pass(13 * MINUTE);
    expect(phone.result).toEqual({ refused: 'inviter-silent' });
    expect(reasons(laptop)).toEqual(['expired']);
    expect(await laptop.members()).toEqual([laptop.id]);
  });

  it('does not let its holder speak for the inviter or end the pairing', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    await rig.meet(laptop, phone, link);
    const abort = Uint8Array.from([0x82, 0x04, 0x58, 0x40, ...new Uint8Array(64).fill(1)]);
    for (const step of [1, 2, 3, 4, 5, 6, 7] as const) {
      for (const body of [abort, new Uint8Array(100).fill(3), new Uint8Array(0)]) {
        rig.post.hand(phone.id, forged(link, laptop, phone, step, body, 'to newcomer'));
        rig.post.hand(laptop.id, forged(link, phone, laptop, step, body));
        rig.post.hand(laptop.id, forged(link, tablet, laptop, step, body));
        rig.post.hand(laptop.id, forged(link, laptop, laptop, step, body));
      }
    }
    await rig.settle();
    expect(reasons(laptop)).toEqual([]);
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });
});

describe('a broker without the link', () => {
  it('makes the inviter say nothing a thousand times over by sending it one packet as often', async () => {
    const [rig, laptop, phone] = await three();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    const consent = rig.post.log.find((packet) => packet.from === phone.id && rig.message(packet).step === 5);
    if (consent === undefined) throw new Error('the phone has not consented');
    await rig.pass(SECOND);
    const before = rig.steps(laptop, phone).length;
    for (let i = 0; i < 1000; i++) rig.post.enqueue(consent);
    await rig.pass(100);
    expect(rig.steps(laptop, phone).length - before).toBe(1);
    expect(laptop.counts.get('replayed')).toBe(999);
    await rig.pass(SECOND);
    rig.post.enqueue(consent);
    await rig.pass(SECOND);
    expect(rig.steps(laptop, phone).slice(before)).toEqual([6, 6]);
  });

  it('changes nothing by altering any message: what is altered is as good as lost', async () => {
    for (const step of [1, 2, 3, 4, 5, 6]) {
      const [rig, laptop, phone] = await three();
      const link = await rig.invite(laptop);
      let altered = 0;
      rig.post.fate = (packet) => {
        if (rig.message(packet).step !== step || altered >= 3) return 'deliver';
        const bytes = packet.bytes.slice();
        const at = bytes.length - 1 - altered * 50;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        altered += 1;
        rig.post.enqueue({ ...packet, bytes });
        return 'drop';
      };
      await rig.drive(laptop, phone, link);
      expect(altered).toBe(3);
      expect(await expectMarried(laptop, phone), `step ${step}`).toBeUndefined();
      if (step % 2 === 1) expect(laptop.counts.get('mac-wrong')).toBe(3);
    }
  });

  it('gets nothing by sending messages back, or to somebody else', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    rig.post.fate = (packet) => {
      rig.post.enqueue({ ...packet, to: packet.from });
      rig.post.enqueue({ ...packet, to: tablet.id });
      return 'deliver';
    };
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });
});

describe('an insider to the link who alters what the two say', () => {
  it('never has anybody added: a body that was changed is not read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 3, 5),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (step, place, change) => {
          const [rig, laptop, phone] = await three();
          const link = await rig.invite(laptop);
          rig.post.fate = (packet) => {
            const { step: sent, body } = rig.message(packet);
            if (sent !== step) return 'deliver';
            const changed = body.slice();
            const at = place % changed.length;
            changed[at] = (changed[at] ?? 0) ^ change;
            rig.post.enqueue({ ...packet, bytes: forged(link, phone, laptop, sent, changed) });
            return 'drop';
          };
          await phone.join(link);
          await rig.pass(5 * SECOND);
          const [request] = laptop.inviting.requests();
          if (request !== undefined) {
            await rig.during(laptop.inviting.approve(phone.codes.at(-1) ?? ''));
            await rig.pass(20 * SECOND);
          }
          expect(await laptop.members()).toEqual([laptop.id]);
          expect(laptop.fatal).toBeUndefined();
          for (const device of rig.devices) device.crash();
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('an invite', () => {
  it('expires, with nobody or somebody using it', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const first = await rig.invite(laptop);
    await rig.pass(10 * MINUTE + SECOND);
    expect(reasons(laptop)).toEqual(['expired']);
    expect(laptop.inviting.live()).toBeUndefined();
    // By its own clock the phone sees it before it asks anybody.
    await phone.join(first);
    await rig.settle();
    expect(phone.result).toEqual({ refused: 'invite-expired' });
    expect(rig.post.log).toEqual([]);

    const second = await rig.invite(laptop);
    await rig.meet(laptop, phone, second);
    await rig.pass(10 * MINUTE + SECOND);
    expect(phone.result).toEqual({ refused: 'invite-expired' });
    expect(reasons(laptop)).toEqual(['expired', 'expired']);
    // A tablet whose clock is behind is told by the inviter; but somebody else had used that one.
    rig.clock.jump(-5 * MINUTE);
    await tablet.join(first);
    await rig.pass(5 * SECOND);
    expect(tablet.result).toEqual({ refused: 'invite-expired' });
    await tablet.join(second);
    await rig.pass(5 * SECOND);
    expect(tablet.result).toEqual({ refused: 'invite-used' });
  });

  it('does not live longer because the clock of the inviter was put back', async () => {
    const [rig, laptop] = await three();
    await rig.invite(laptop);
    rig.clock.jump(-DAY);
    await rig.pass(10 * MINUTE + SECOND);
    expect(laptop.inviting.live()).toBeUndefined();
    await rig.invite(laptop);
    rig.clock.jump(-DAY);
    laptop.crash();
    await laptop.serve();
    await rig.pass(10 * MINUTE + SECOND);
    expect(laptop.inviting.live()).toBeUndefined();
  });

  it('expires while the inviter is off', async () => {
    const [rig, laptop] = await three();
    await rig.invite(laptop);
    laptop.crash();
    await rig.pass(11 * MINUTE);
    await laptop.serve();
    expect(laptop.inviting.live()).toBeUndefined();
    expect(reasons(laptop)).toEqual(['expired']);
  });

  it('expires as soon as the clock was put forward past its end', async () => {
    const [rig, laptop, phone] = await three();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    rig.clock.jump(DAY);
    expect(await rig.during(laptop.inviting.approve(code))).toEqual({ refused: 'no-request' });
    expect(reasons(laptop)).toEqual(['expired']);
  });

  it('is cancelled, and whoever comes then is told so', async () => {
    const [rig, laptop, phone] = await three();
    const link = await rig.invite(laptop);
    expect(await rig.during(laptop.inviting.cancel())).toBe(true);
    expect(await rig.during(laptop.inviting.cancel())).toBe(false);
    laptop.crash();
    await laptop.serve();
    await phone.join(link);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'invite-cancelled' });
  });

  it('is replaced by the next one while nobody uses it, and not while somebody does', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const first = await rig.invite(laptop);
    const second = await rig.invite(laptop);
    await phone.join(first);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'invite-cancelled' });
    await rig.meet(laptop, tablet, second);
    const third = await rig.during(laptop.inviting.create({ ttl: MINUTE, broker: BROKER }));
    expect(third).toEqual({ refused: 'invite-in-use' });
  });

  it('works once: not again for the one who joined with it, nor for another', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    await rig.drive(laptop, phone, link);
    for (const device of [phone, tablet]) {
      await device.join(link);
      await rig.pass(3 * MINUTE);
    }
    expect(tablet.result).toEqual({ refused: 'invite-used' });
    expect((await laptop.members()).length).toBe(2);
  });

  it('is not made for ten minutes after three claims have failed, whatever the clock does', async () => {
    const [rig, laptop, , tablet] = await three();
    for (let i = 0; i < 3; i++) {
      await rig.meet(laptop, tablet, await rig.invite(laptop));
      await rig.during(laptop.inviting.approve('00000000'));
      await rig.pass(SECOND);
      if (tablet.running !== undefined) tablet.crash();
    }
    const create = () => rig.during(laptop.inviting.create({ ttl: MINUTE, broker: BROKER }));
    laptop.crash();
    await laptop.serve();
    expect(await create()).toEqual({ refused: 'invites-paused' });
    rig.clock.jump(-365 * DAY);
    expect(await create()).toEqual({ refused: 'invites-paused' });
    laptop.crash();
    await laptop.serve();
    expect(await create()).toEqual({ refused: 'invites-paused' });
    await rig.pass(10 * MINUTE + SECOND);
    expect(await create()).toHaveProperty('ok');
  });

  it('may be cancelled as often as one likes', async () => {
    const [rig, laptop, phone] = await three();
    for (let i = 0; i < 20; i++) {
      const link = await rig.invite(laptop);
      // Also while somebody uses it: it is this end's own person who cancels.
      if (i < 4) await rig.meet(laptop, phone, link);
      await rig.during(laptop.inviting.cancel());
      await rig.pass(SECOND);
    }
    laptop.crash();
    expect(await laptop.withStore(async (keystore) => keystore.keys('invite').length)).toBe(16);
  });

  it('leaves no private one-time key behind when nobody used it', async () => {
    const [rig, laptop] = await three();
    const link = await rig.invite(laptop);
    await rig.during(laptop.inviting.cancel());
    const { account } = laptop.running?.device ?? {};
    expect(account?.burnOneTimeKey(link.oneTimeKey)).toBe(false);
  });

  it('is not for the device that made it, and not for one that was removed', async () => {
    const [rig, laptop, phone] = await three();
    const own = await rig.invite(laptop);
    laptop.crash();
    await laptop.join(own);
    await rig.settle();
    expect(laptop.result).toEqual({ refused: 'invite-own' });

    await laptop.serve();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    laptop.log.write({ kind: 'revoke', target: phone.id, cut: null, reason: 'lost' });
    const again = await rig.invite(laptop);
    await phone.join(again);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'join-removed' });
    expect(laptop.inviting.live()?.state).toBe('open');
  });

  it('brings nothing to a device that was removed before it heard that it is a member', async () => {
    const [rig, laptop, phone] = await three();
    const link = await rig.invite(laptop, { broker: { ...BROKER, derivedLogin: true } });
    const code = await rig.meet(laptop, phone, link);
    rig.post.fate = (packet) => (rig.message(packet).step === 6 ? 'drop' : 'deliver');
    await rig.during(laptop.inviting.approve(code));
    await rig.pass(5 * SECOND);
    expect(await laptop.members()).toContain(phone.id);
    laptop.log.write({ kind: 'revoke', target: phone.id, cut: null, reason: 'lost' });
    rig.post.fate = () => 'deliver';
    const before = rig.steps(laptop, phone).length;
    await rig.pass(MINUTE);
    expect(phone.result).toEqual({ refused: 'join-removed' });
    expect(rig.steps(laptop, phone).slice(before)).toEqual([7]);
    // So long it may still come and ask; then its login goes.
    expect(laptop.inviting.logins()).toHaveLength(1);
    await rig.pass(10 * MINUTE);
    expect(laptop.inviting.logins()).toEqual([]);
  });

  it('is refused before any network by a device that has siblings elsewhere', async () => {
    const [rig, laptop, phone, tablet] = await three();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    await tablet.serve();
    const link = await rig.invite(tablet);
    const before = rig.post.log.length;
    await phone.join(link);
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'already-in-mesh' });
    expect(rig.post.log.length).toBe(before);
  });

  it('brings a member back into its own mesh, with all that it holds', async () => {
    const [rig, laptop, phone] = await three();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    // What the phone has written since, and nobody has seen.
    await phone.serve();
    phone.log.write({ kind: 'rename', target: phone.id, name: undefined, replaces: [] });
    await phone.running?.cycle?.settled();
    const own = phone.log.membership().log.size;
    phone.crash();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    expect(phone.result).toHaveProperty('ok');
    const { log } = await phone.membership();
    expect(log.size).toBe(own + 1);
    expect(await phone.members()).toEqual([laptop.id, phone.id].sort());
  });

  it('says that the inviter is silent, or that there is no broker', async () => {
    const [rig, laptop, phone, tablet] = await three();
    const link = await rig.invite(laptop);
    laptop.crash();
    await phone.join(link);
    await rig.pass(13 * MINUTE);
    expect(phone.result).toEqual({ refused: 'inviter-silent' });

    await laptop.serve();
    const other = await rig.invite(laptop);
    const { connect } = rig.post;
    rig.post.connect = () => undefined;
    await tablet.join(other);
    await rig.pass(13 * MINUTE);
    rig.post.connect = connect;
    expect(tablet.result).toEqual({ refused: 'join-no-broker' });
  });
});
