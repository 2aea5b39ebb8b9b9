/** Removing devices, leaving and names: the whole program, as scripts use it. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, freePort } from '../brokers/loopback.ts';
import { hasMosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { as, compile, MeshProcess, mesh } from './mesh-process.ts';
import { devicesOf, make, namesOf, outcome, type Place, pair, place } from './pairing-cast.ts';

let base: string;
let port: number;
let running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  port = await freePort();
});
afterEach(async () => {
  for (const one of running.reverse()) await one.stop();
  running = [];
  await rm(base, { recursive: true, force: true });
});

async function daemon(device: Place, ...args: string[]): Promise<MeshProcess> {
  const process = new MeshProcess(['up', ...as(device), ...args]);
  running.push(process);
  await process.saw('ready');
  await process.saw('connected');
  return process;
}

/** A laptop with the broker, and others that it has invited. They have no daemons yet. */
async function family(...names: string[]): Promise<Place[]> {
  const laptop = await make(base, 'laptop');
  await daemon(laptop, '--embedded-broker', `127.0.0.1:${port}`);
  const others: Place[] = [];
  for (const name of names) {
    const other = place(base, `${name} ${others.length + 1}`);
    const { join } = await pair(laptop, other, '--name', name);
    expect(join.status, join.stderr).toBe(0);
    others.push(other);
  }
  return [laptop, ...others];
}

const statusOf = async (device: Place, name: string): Promise<unknown> =>
  (await devicesOf(device)).find((one) => one.name === name)?.status;

const until = (holds: () => Promise<boolean>, what: string): Promise<void> => eventually(holds, what, 30_000);

describe('mesh revoke', () => {
  it('removes a device, which can do nothing any more and says why', async () => {
    const [laptop, pi] = (await family('pi')) as [Place, Place];
    const unsure = await mesh(['revoke', 'pi', ...as(laptop)]);
    expect(outcome(unsure)).toEqual([2, 'answer-needed']);
    expect(await statusOf(laptop, 'pi')).toBe('member');
    const running = await daemon(pi);
    const { deviceId } = await running.saw('ready');
    const revoked = await mesh(['revoke', 'pi', '--yes', '--reason', 'lost', ...as(laptop)]);
    const [laptopId] = (await devicesOf(laptop)).filter(({ self }) => self).map((one) => one.deviceId);
    expect([revoked.status, revoked.events]).toEqual([
      0,
      [{ event: 'revoked', deviceId, confirmed: [laptopId], unconfirmed: [] }],
    ]);
    expect(await statusOf(laptop, 'pi')).toBe('revoked');
    const send = await mesh(['send', 'pi', 'hello', ...as(laptop)]);
    expect(outcome(send)).toEqual([4, 'device-not-member']);
    await until(async () => {
      const late = await mesh(['send', 'laptop', 'hello', ...as(pi)]);
      return outcome(late).join() === '7,device-revoked';
    }, 'the removed device says so');
    expect(outcome(await mesh(['invite', ...as(pi)]))).toEqual([7, 'device-revoked']);
    const again = await mesh(['revoke', 'pi', '--yes', ...as(laptop)]);
    expect(outcome(again)).toEqual([4, 'device-not-member']);
  });

  it('waits for every member when asked to, and says who is left when the time is up', async () => {
    const [laptop, pi, , phone] = (await family('pi', 'tablet', 'phone')) as [Place, Place, Place, Place];
    await daemon(pi);
    const wait = ['revoke', 'tablet', '--yes', '--wait'];
    const first = await mesh([...wait, '--timeout', '6s', ...as(laptop)]);
    expect(outcome(first)).toEqual([6, 'revoke-open']);
    const [told] = first.events;
    const ids = Object.fromEntries((await devicesOf(laptop)).map((one) => [one.name, one.deviceId]));
    expect(told).toMatchObject({ event: 'revoked', unconfirmed: [ids.phone] });
    expect(told?.confirmed).toEqual([ids.laptop, ids.pi].sort());
    await daemon(phone);
    const second = await mesh([...wait, '--timeout', '30s', ...as(laptop)]);
    expect([second.status, second.events.at(-1)]).toMatchObject([0, { unconfirmed: [] }]);
    const noWait = await mesh(['revoke', 'phone', '--yes', '--timeout', '1s', ...as(laptop)]);
    expect(outcome(noWait)).toEqual([2, 'usage']);
  });

  it('says first whom it removes, and never this very device', async () => {
    const [laptop] = (await family('pi')) as [Place];
    const self = await mesh(['revoke', 'laptop', '--yes', ...as(laptop)]);
    expect(outcome(self)).toEqual([2, 'revoke-self']);
    const revoke = await mesh(['revoke', 'pi', '--yes', ...as(laptop)]);
    expect(revoke.stderr).toContain('this removes "pi"');
    // At an embedded broker everybody has a login of their own, which goes with them.
    expect(revoke.stderr).not.toContain('login');
  });

  it.skipIf(!hasMosquitto)(
    'says what the device had added, and which login of the broker it knows',
    async () => {
      const broker = await startMosquitto({ logins: { family: 'secret' } });
      try {
        const [laptop, pi, guest] = ['laptop', 'pi', 'guest'].map((name) => place(base, name)) as [
          Place,
          Place,
          Place,
        ];
        const made = await mesh(['init', '--name', 'laptop', '--broker', broker.url, ...as(laptop)]);
        expect(made.status).toBe(0);
        await mesh(['config', 'set', 'broker-user', 'family', ...as(laptop)]);
        await mesh(['config', 'set', 'broker-password', '-', ...as(laptop)], { input: 'secret' });
        const invited = async (by: Place, newcomer: Place): Promise<void> => {
          const invite = new MeshProcess(['invite', '--share-broker-login', ...as(by)]);
          running.push(invite);
          const { link } = await invite.saw('invite');
          const join = new MeshProcess(['join', '-', '--yes', '--name', newcomer.name, ...as(newcomer)], {
            input: String(link),
          });
          running.push(join);
          const { code } = await join.saw('code');
          await invite.saw('claimed');
          await mesh(['approve', '--code', String(code), ...as(by)]);
          expect((await join.ended()).status).toBe(0);
        };
        await invited(laptop, pi);
        await invited(pi, guest);
        await daemon(laptop);
        await daemon(pi);
        await until(async () => (await namesOf(laptop)).includes('guest'), 'the laptop knows the guest');
        const revoke = await mesh(['revoke', 'pi', '--yes', '--reason', 'lost', ...as(laptop)]);
        expect(revoke.status, revoke.stdout).toBe(0);
        expect(revoke.stderr).toContain('it has added: "guest"');
        expect(revoke.stderr).toContain('it knows the login "family" of the broker');
        expect(await statusOf(laptop, 'pi')).toBe('revoked');
      } finally {
        for (const one of running.splice(0).reverse()) await one.stop();
        await broker.stop();
      }
    },
  );

  it('does not guess which of two devices is meant', async () => {
    const [laptop] = (await family('pi', 'pi')) as [Place];
    const both = await mesh(['revoke', 'pi', '--yes', ...as(laptop)]);
    expect(outcome(both)).toEqual([4, 'device-ambiguous']);
    const candidates = (await devicesOf(laptop)).filter(({ name }) => name === 'pi');
    expect(candidates).toHaveLength(2);
    for (const { deviceId } of candidates) expect(both.stdout).toContain(String(deviceId));
    const prefix = String(candidates[0]?.deviceId).slice(0, 8);
    const one = await mesh(['revoke', prefix, '--yes', ...as(laptop)]);
    expect([one.status, one.events[0]?.deviceId]).toEqual([0, candidates[0]?.deviceId]);
    expect(outcome(await mesh(['revoke', 'nobody', '--yes', ...as(laptop)]))).toEqual([4, 'device-unknown']);
  });
});

describe('mesh leave', () => {
  it('is heard by another device, and leaves nothing behind', async () => {
    const [laptop, pi, phone] = (await family('pi', 'phone')) as [Place, Place, Place];
    expect(outcome(await mesh(['leave', ...as(pi)]))).toEqual([2, 'answer-needed']);
    expect(await statusOf(laptop, 'pi')).toBe('member');
    const left = await mesh(['leave', '--yes', ...as(pi)]);
    expect([left.status, left.events]).toEqual([0, [{ event: 'left' }]]);
    expect(existsSync(`${pi.home}/header`)).toBe(false);
    expect(await statusOf(laptop, 'pi')).toBe('left');
    expect(outcome(await mesh(['status', ...as(pi)]))).toEqual([3, 'store-not-initialised']);

    const running = await daemon(phone);
    expect((await mesh(['leave', '--yes', ...as(phone)])).events).toEqual([{ event: 'left' }]);
    expect(existsSync(`${phone.home}/header`)).toBe(false);
    await running.ended();
    expect(await namesOf(laptop)).toEqual(['laptop']);
    // A new device may come back to the same place.
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
  });

  it('deletes the store of a command that has it open, and ends that one', async () => {
    const alone = await make(base, 'alone', '--broker', `mqtt://127.0.0.1:${port}`);
    const listener = new MeshProcess(['listen', ...as(alone)]);
    running.push(listener);
    const hasIt = async (): Promise<boolean> => existsSync(`${alone.home}/socket`);
    await until(hasIt, 'the listener has the store open');
    expect((await mesh(['leave', '--yes', ...as(alone)])).events).toEqual([{ event: 'left' }]);
    expect(existsSync(`${alone.home}/header`)).toBe(false);
    expect(outcome(await listener.ended())).toEqual([3, 'store-not-initialised']);
  });

  it('waits for somebody to hear of it, unless it is forced or alone', async () => {
    const [laptop, pi] = (await family('pi')) as [Place, Place];
    for (const one of running.splice(0)) await one.stop();
    const unheard = await mesh(['leave', '--yes', '--timeout', '2s', ...as(pi)]);
    expect(outcome(unheard)).toEqual([6, 'leave-unheard']);
    expect(existsSync(`${pi.home}/header`)).toBe(true);
    const forced = await mesh(['leave', '--yes', '--force', ...as(pi)]);
    expect([forced.status, existsSync(`${pi.home}/header`)]).toEqual([0, false]);
    const alone = await make(base, 'alone');
    expect((await mesh(['leave', '--yes', ...as(alone)])).status).toBe(0);
    expect(existsSync(`${alone.home}/header`)).toBe(false);
    expect(existsSync(`${laptop.home}/header`)).toBe(true);
  });
});

describe('mesh rename', () => {
  it('is seen everywhere, and the old name means nobody any more', async () => {
    const [laptop, pi] = (await family('pi')) as [Place, Place];
    await daemon(pi);
    const renamed = await mesh(['rename', 'the Pi in the attic', ...as(pi)]);
    expect([renamed.status, renamed.events]).toMatchObject([
      0,
      [{ event: 'renamed', name: 'the Pi in the attic' }],
    ]);
    await until(async () => (await namesOf(laptop)).includes('the Pi in the attic'), 'the name arrives');
    expect(outcome(await mesh(['send', 'pi', 'hello', ...as(laptop)]))).toEqual([4, 'device-unknown']);
    expect(outcome(await mesh(['rename', '', ...as(pi)]))).toEqual([2, 'name-empty']);
  });
});
