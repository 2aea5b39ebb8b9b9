import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { toHex, uint32 } from '../../../src/entities/bytes.ts';
import { fingerprint } from '../../../src/entities/device-id.ts';
import type { EntryHash } from '../../../src/entities/roster/entry.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { BROKER, type Device, expectMarried, MINUTE, PairingRig, SECOND } from './rig.ts';

const { hash } = nodePrimitives;

async function laptopAndPhone(): Promise<[rig: PairingRig, laptop: Device, phone: Device]> {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone");
  await rig.device(0).serve();
  return [rig, rig.device(0), rig.device(1)];
}

describe('two devices that pair', () => {
  it('are one mesh once the code from the newcomer was typed at the inviter', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    expect(link.name).toBe("Alice's laptop");
    const code = await rig.meet(laptop, phone, link);
    expect(code).toMatch(/^\d{8}$/);
    const [request] = laptop.inviting.requests();
    const print = fingerprint(phone.id);
    expect(request).toMatchObject({ deviceId: phone.id, name: "Alice's phone", fingerprint: print });
    expect(phone.events.at(-1)).toEqual({ kind: 'code', code, fingerprint: print });
    expect(await laptop.members()).toEqual([laptop.id]);

    const approved = await rig.during(laptop.inviting.approve(`${code.slice(0, 4)} ${code.slice(4)}`));
    expect(approved).toEqual({ ok: request });
    await rig.pass(5 * SECOND);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    expect(phone.result).toMatchObject({ ok: { members: [laptop.id, phone.id].sort() } });
    const told = laptop.news.map((news) => (news.kind === 'invite' ? news.what : news.kind));
    expect(told).toEqual(['opened', 'claimed', 'verified', 'joined']);
    expect(laptop.news.at(-1)).toMatchObject({ device: phone.id, name: "Alice's phone" });
    expect([...new Set(rig.steps(phone, laptop))]).toEqual([1, 3, 5]);
    expect(rig.steps(laptop, phone)).toEqual([2, 4, 6]);
  });

  it('hold one-time keys of each other, and the newcomer knows how to reach the broker', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const password = new Secret(utf8('for the phone alone'));
    laptop.crash();
    laptop.loginFor = (device) => ({ name: device, password });
    await laptop.serve();
    const link = await rig.invite(laptop, { broker: { ...BROKER, derivedLogin: true, topicPrefix: '/m/' } });
    expect(laptop.inviting.logins()).toEqual([{ id: laptop.inviting.live()?.id, secret: link.secret }]);
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();

    const [welcome] = laptop.welcomed;
    expect(welcome?.newcomer).toEqual(phone.party);
    const shown = (keys: readonly Uint8Array[] = []): string[] => keys.map(toHex);
    await phone.withStore(async (keystore) => {
      const pair = await keystore.read('pair', laptop.id);
      expect(shown(pair?.theirKeys)).toEqual(shown(welcome?.keys.ourKeys));
      expect(shown(pair?.ourKeys)).toEqual(shown(welcome?.keys.theirKeys));
      expect(pair?.ourKeys.length).toBe(5);
      const settings = await Promise.all(
        ['broker', 'broker-user', 'broker-password', 'topic-prefix'].map((key) =>
          keystore.read('setting', key),
        ),
      );
      expect(settings).toEqual([BROKER.url, phone.id, 'for the phone alone', '/m/']);
      expect(await keystore.read('joining', 'self')).toBeUndefined();
    });
    laptop.inviting.forget(phone.id);
    expect(laptop.inviting.logins()).toEqual([]);
  });

  it('leave the login of another broker behind, and keep what the person set for this one', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    await phone.withStore((keystore) =>
      keystore.commit([
        { kind: 'setting', key: 'broker', put: 'mqtt://elsewhere' },
        { kind: 'setting', key: 'broker-user', put: 'old' },
        { kind: 'setting', key: 'broker-password', put: 'secret of elsewhere' },
      ]),
    );
    const link = await rig.invite(laptop);
    await phone.join(link, new Map([['broker-user', 'alice']]));
    await rig.drive(laptop, phone, link);
    await phone.withStore(async (keystore) => {
      expect(await keystore.read('setting', 'broker')).toBe(BROKER.url);
      expect(await keystore.read('setting', 'broker-user')).toBe('alice');
      expect(await keystore.read('setting', 'broker-password')).toBeUndefined();
    });
  });

  it('add nobody when a wrong code is typed, and both say so', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    const wrong = String((Number(code) + 1) % 100_000_000).padStart(8, '0');
    expect(await rig.during(laptop.inviting.approve(wrong))).toEqual({ refused: 'code-wrong' });
    await rig.pass(MINUTE);
    expect(phone.result).toEqual({ refused: 'invite-wrong-code' });
    expect(await rig.during(laptop.inviting.approve(code))).toEqual({ refused: 'no-request' });
    expect(await laptop.members()).toEqual([laptop.id]);
    expect(await phone.members()).toEqual([phone.id]);
  });

  it('lose nothing by what is no code at all', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    for (const typed of ['', '1234', 'abcdefgh', `${code}0`]) {
      expect(await rig.during(laptop.inviting.approve(typed))).toEqual({ refused: 'code-malformed' });
    }
    expect(await rig.during(laptop.inviting.approve(code, 'another'))).toEqual({ refused: 'no-request' });
    const id = laptop.inviting.requests()[0]?.id;
    expect(await rig.during(laptop.inviting.approve(code, id))).toHaveProperty('ok');
    await rig.pass(5 * SECOND);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('part when the request is declined, or either end gives up', async () => {
    for (const how of ['decline', 'cancel', 'give up'] as const) {
      const [rig, laptop, phone] = await laptopAndPhone();
      const link = await rig.invite(laptop);
      const code = await rig.meet(laptop, phone, link);
      if (how === 'decline') expect(await rig.during(laptop.inviting.decline())).toHaveProperty('ok');
      if (how === 'cancel') expect(await rig.during(laptop.inviting.cancel())).toBe(true);
      if (how === 'give up') await rig.during(phone.running?.joining?.cancel() ?? Promise.resolve());
      await rig.pass(MINUTE);
      const refused = {
        decline: 'invite-declined',
        cancel: 'invite-cancelled',
        'give up': 'join-cancelled',
      }[how];
      expect(phone.result).toEqual({ refused });
      expect(laptop.news.at(-1)).toMatchObject({
        what: 'ended',
        reason: { decline: 'declined', cancel: 'cancelled', 'give up': 'gave-up' }[how],
      });
      expect(await rig.during(laptop.inviting.approve(code))).toEqual({ refused: 'no-request' });
      expect(laptop.inviting.live()).toBeUndefined();
    }
  });

  it('bring a log of many parts across, in order or not', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    for (let i = 0; i < 700; i++) {
      const namings = laptop.log.membership().roster.devices.get(laptop.id)?.namings ?? [];
      laptop.log.write({ kind: 'rename', target: laptop.id, name: undefined, replaces: namings });
    }
    // Every second part is lost the first time.
    let parts = 0;
    rig.post.fate = (packet) =>
      rig.message(packet).step === 4 && parts++ < 6 && parts % 2 === 0 ? 'drop' : 'deliver';
    await rig.during(laptop.inviting.approve(code));
    await rig.pass(MINUTE);
    expect(parts).toBeGreaterThan(4);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('bring a long log across where more of it was lost than a ratchet waits for', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    const [applied] = laptop.log.membership().log.keys();
    if (applied === undefined) throw new Error('an empty log');
    for (let i = 0; i < 100; i++) {
      const heads = Array.from({ length: 512 }, (_, j) => toHex(hash(uint32(i), uint32(j))) as EntryHash);
      laptop.log.write({ kind: 'confirm', applied: [applied], heads });
    }
    // All but the last four are lost the first time.
    const parts: number[] = [];
    rig.post.fate = (packet) => {
      if (rig.message(packet).step !== 4) return 'deliver';
      parts.push(parts.length);
      return parts.length <= 46 ? 'drop' : 'deliver';
    };
    await rig.during(laptop.inviting.approve(code));
    await rig.pass(MINUTE);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    // Sent twice, and no more was needed.
    expect(parts.length).toBe(100);
  }, 60_000);
});
