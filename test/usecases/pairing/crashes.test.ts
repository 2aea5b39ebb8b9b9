/** What the broker and the power do to a pairing: whatever it is, it ends with one mesh or with none. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { pendingJoin } from '../../../src/usecases/pairing/joining.ts';
import type { Packet } from '../messaging/post.ts';
import { DAY, type Device, expectMarried, MINUTE, PairingRig, SECOND } from './rig.ts';

async function laptopAndPhone(): Promise<[rig: PairingRig, laptop: Device, phone: Device]> {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone");
  await rig.device(0).serve();
  return [rig, rig.device(0), rig.device(1)];
}

const STEPS = [1, 2, 3, 4, 5, 6] as const;

describe('a pairing that the power interrupts', () => {
  for (const victim of ["Alice's laptop", "Alice's phone"]) {
    for (const step of STEPS) {
      it(`goes on where ${victim} dies as message ${step} is sent`, async () => {
        const [rig, laptop, phone] = await laptopAndPhone();
        const link = await rig.invite(laptop);
        let died = false;
        rig.post.fate = (packet) => {
          if (!died && rig.message(packet).step === step) {
            died = true;
            rig.devices.find(({ name }) => name === victim)?.crash();
          }
          return 'deliver';
        };
        await rig.drive(laptop, phone, link);
        expect(died).toBe(true);
        expect(await expectMarried(laptop, phone)).toBeUndefined();
      });

      if ((victim === "Alice's laptop") === (step % 2 === 0)) continue;
      it(`goes on where ${victim} dies as message ${step} has just come, and is not yet kept`, async () => {
        const [rig, laptop, phone] = await laptopAndPhone();
        const link = await rig.invite(laptop);
        let died = false;
        rig.received = (device, bytes) => {
          const envelope = rig.message({ bytes });
          // It dies of what the other one says.
          if (died || device.name !== victim || envelope.step !== step) return;
          died = true;
          device.crash();
        };
        await rig.drive(laptop, phone, link);
        expect(died).toBe(true);
        expect(await expectMarried(laptop, phone)).toBeUndefined();
      });
    }
  }

  it('goes on where the inviter dies as the code is typed, before or after that is durable', async () => {
    for (const after of [false, true]) {
      const [rig, laptop, phone] = await laptopAndPhone();
      const link = await rig.invite(laptop);
      const code = await rig.meet(laptop, phone, link);
      rig.post.fate = () => 'drop';
      const approving = laptop.inviting.approve(code);
      if (after) await rig.during(approving);
      laptop.crash();
      rig.post.fate = () => 'deliver';
      await laptop.serve();
      expect(laptop.inviting.requests().length).toBe(after ? 0 : 1);
      await rig.drive(laptop, phone, link);
      expect(await expectMarried(laptop, phone)).toBeUndefined();
    }
  });

  it('goes on where the newcomer dies with the code on its screen, and shows the same again', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    phone.crash();
    await phone.join();
    await rig.pass(SECOND);
    expect(phone.codes).toEqual([code, code]);
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('can be told what it was about to do, by a program that starts again', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const settings = new Map([['broker-user', 'alice']]);
    await phone.join(link, settings);
    phone.crash();
    const pending = await phone.withStore((keystore) => pendingJoin(nodePrimitives.hash, keystore));
    expect(pending).toMatchObject({ name: "Alice's phone", settings, consented: false });
    expect(pending?.link.secret.expose()).toEqual(link.secret.expose());
    expect(pending?.link.inviter).toEqual(laptop.party);

    rig.post.fate = (packet) => (rig.message(packet).step === 6 ? 'drop' : 'deliver');
    await phone.join(link);
    await rig.pass(5 * SECOND);
    await rig.during(laptop.inviting.approve(phone.codes.at(-1) ?? ''));
    await rig.pass(5 * SECOND);
    phone.crash();
    const later = await phone.withStore((keystore) => pendingJoin(nodePrimitives.hash, keystore));
    expect(later?.consented).toBe(true);
    rig.post.fate = () => 'deliver';
    await phone.join();
    await rig.pass(5 * SECOND);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    const none = await phone.withStore((keystore) => pendingJoin(nodePrimitives.hash, keystore));
    expect(none).toBeUndefined();
  });

  it('may be begun anew with another link, and what was begun before is forgotten', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    await phone.join(await rig.invite(laptop));
    phone.crash();
    const link = await rig.invite(laptop);
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('leaves a device that gave up as it was, and free to pair again', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    await rig.meet(laptop, phone, await rig.invite(laptop));
    await rig.during(phone.running?.joining?.cancel() ?? Promise.resolve());
    await rig.pass(5 * SECOND);
    expect(phone.result).toEqual({ refused: 'join-cancelled' });
    await phone.join();
    await rig.settle();
    expect(phone.result).toBeUndefined();
    expect(phone.running).toBeUndefined();
    await rig.drive(laptop, phone, await rig.invite(laptop));
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });

  it('goes on where both die again and again', async () => {
    for (let every = 2; every < 9; every++) {
      const [rig, laptop, phone] = await laptopAndPhone();
      const link = await rig.invite(laptop);
      let count = 0;
      rig.post.fate = () => {
        count += 1;
        if (count < 60 && count % every === 0) (count % (2 * every) === 0 ? laptop : phone).crash();
        return 'deliver';
      };
      await rig.drive(laptop, phone, link);
      expect(await expectMarried(laptop, phone), `every ${every}`).toBeUndefined();
    }
  });
});

describe('a pairing over a bad network', () => {
  it('succeeds with every message twice, and changes nothing by the second', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    rig.post.fate = (packet) => {
      rig.post.enqueue(packet);
      return 'deliver';
    };
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    expect(laptop.welcomed.length).toBe(1);
  });

  it('succeeds with every message lost once', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const lost = new Set<string>();
    rig.post.fate = (packet) => {
      const name = Buffer.from(packet.bytes).toString('hex');
      if (lost.has(name)) return 'deliver';
      lost.add(name);
      return 'drop';
    };
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    expect(lost.size).toBe(6);
  });

  it('answers each message the same, however often it comes', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    // The newcomer asks again because it never hears the answers, until each has been lost three times.
    const lost = new Map<number, Packet[]>();
    rig.post.fate = (packet) => {
      const { step } = rig.message(packet);
      if (packet.from !== laptop.id) return 'deliver';
      const before = lost.get(step) ?? [];
      lost.set(step, [...before, packet]);
      return before.length < 3 ? 'drop' : 'deliver';
    };
    await rig.drive(laptop, phone, link);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    for (const step of [2, 4, 6]) {
      const packets = (lost.get(step) ?? []).map(({ bytes }) => Buffer.from(bytes).toString('hex'));
      expect(packets.length).toBeGreaterThan(3);
      expect(new Set(packets).size).toBe(1);
    }
  });

  it('succeeds with late copies of everything that was ever said', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    rig.post.fate = (packet) => {
      for (const late of [3, 20, 90]) rig.clock.after(late * SECOND, () => rig.post.enqueue(packet));
      return 'deliver';
    };
    await rig.drive(laptop, phone, link);
    await rig.pass(200 * SECOND);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
    expect(laptop.fatal).toBeUndefined();
  });

  it('is honoured past the expiry once the code was typed', async () => {
    const [rig, laptop, phone] = await laptopAndPhone();
    const link = await rig.invite(laptop);
    const code = await rig.meet(laptop, phone, link);
    rig.post.fate = (packet) => (rig.message(packet).step === 5 ? 'drop' : 'deliver');
    await rig.during(laptop.inviting.approve(code));
    await rig.pass(20 * MINUTE);
    expect(rig.steps(phone, laptop).at(-1)).toBe(5);
    expect(await laptop.members()).toEqual([laptop.id]);
    phone.crash();
    laptop.crash();
    rig.clock.jump(DAY);
    rig.post.fate = () => 'deliver';
    await laptop.serve();
    await phone.join();
    await rig.pass(5 * SECOND);
    expect(await expectMarried(laptop, phone)).toBeUndefined();
  });
});
