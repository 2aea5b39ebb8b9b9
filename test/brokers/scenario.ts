/**
 * What has to hold whatever the broker is, written once. Three devices, each a process, each on a way of its own
 * to the same broker where it has more than one; the broker dies twice in the middle of it.
 *
 * Longer than other files, because it is one story.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { device, Witness } from '../contracts/transport.ts';
import { meshClient } from '../drivers/mqtt/mesh-client.ts';
import { makeMesh } from '../process/make-mesh.ts';
import { as, compile, type Ended, MeshProcess, mesh } from '../process/mesh-process.ts';
import { make, outcome, type Place, pair, place } from '../process/pairing-cast.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type Authority, LATER, LONG_AGO, makeAuthority } from './authority.ts';
import { type Broker, type Kind, required, type Way } from './kinds/kind.ts';
import { eventually } from './loopback.ts';
import { digestOf, Member, payloadOfEvent } from './member.ts';

const MINUTE = 60_000;

/** The ways of the laptop, the phone and the Pi. */
export function scenario(kind: Kind, ways: readonly [Way, Way, Way]): void {
  const title = `three devices at ${kind.name}`;
  describe.runIf(required(title, kind.missing))(title, () => story(kind, ways));
}

function story(kind: Kind, ways: readonly [Way, Way, Way]): void {
  const secure = ways.find((way) => way === 'mqtts');
  let base: string;
  let authority: Authority;
  let caFile: string;
  let broker: Broker;
  let members: Member[] = [];

  beforeAll(async () => {
    await compile();
    base = await temporaryDirectory();
    authority = await makeAuthority('the authority of this test');
    caFile = join(base, 'ca.pem');
    await writeFile(caFile, authority.cert);
    const home = join(base, 'broker');
    await mkdir(home);
    broker = await kind.make(home);
    await broker.present(await authority.issue({ name: 'localhost', until: LATER }));
  }, 2 * MINUTE);

  afterAll(async () => {
    await Promise.all(members.map((member) => member.stop('SIGKILL')));
    await broker?.stop();
    await rm(base, { recursive: true, force: true });
  });

  const url = (way: Way): string => {
    const found = broker.urls[way];
    if (found === undefined) throw new Error(`${kind.name} has no ${way} here`);
    return found;
  };
  const cast = (): readonly [Member, Member, Member] => {
    const [laptop, phone, pi] = members;
    if (laptop === undefined || phone === undefined || pi === undefined) throw new Error('they never met');
    return [laptop, phone, pi];
  };
  const each = (work: (member: Member) => Promise<void>): Promise<unknown> => Promise.all(members.map(work));

  /** The broker inside the laptop's daemon goes with it. */
  async function kill(): Promise<void> {
    if (kind.inside !== undefined) await members[0]?.stop('SIGKILL');
    await broker.kill();
  }
  async function startAgain(): Promise<void> {
    await broker.start();
    if (kind.inside !== undefined) await members[0]?.start();
  }

  /** By themselves they try less and less often; whoever sets the broker wants it now. */
  const reconnect = (): Promise<unknown> =>
    each(async (member) => {
      if (member.isUp && kind.inside === undefined) await member.set('broker', url(wayOf(member)));
    });
  const wayOf = (member: Member): Way => ways[members.indexOf(member)] ?? ways[0];

  /** Nobody who is up waits for an answer of anybody who is up. */
  async function settle(): Promise<void> {
    const present = new Set(members.filter(({ isUp }) => isUp).map(({ deviceId }) => deviceId));
    await each(async (member) => {
      if (!member.isUp) return;
      await eventually(
        async () => !(await member.outbox()).some(({ deviceId }) => present.has(deviceId)),
        `all that ${member.place.name} has said has arrived`,
        MINUTE,
      );
    });
  }

  /** What was accepted for this device, from each of the others, in the order in which it was said. */
  const meantFor = (listener: Member): Record<string, string[]> =>
    Object.fromEntries(
      members
        .filter((member) => member !== listener)
        .map(({ place: { name }, said }) => [
          name,
          said.filter(({ to }) => to.includes(listener.deviceId)).map(({ digest }) => digest),
        ]),
    );
  async function heardBy(listener: Member, cursor: string): Promise<Record<string, string[]>> {
    const heard = new Map<unknown, string[]>(
      members.filter((member) => member !== listener).map(({ place: { name } }) => [name, []]),
    );
    const count = Object.values(meantFor(listener)).flat().length;
    for (const event of await listener.listen(cursor, count)) {
      heard.get(event.fromName)?.push(digestOf(payloadOfEvent(event)));
    }
    return Object.fromEntries(heard);
  }
  async function expectSilence(listener: Member, cursor: string): Promise<void> {
    const more = await mesh(['listen', '--cursor', cursor, '--timeout', '500ms', ...as(listener.place)]);
    expect(more.events.filter(({ event }) => event === 'message')).toEqual([]);
  }

  it.runIf(secure)(
    'a certificate that cannot be relied upon keeps a device away',
    { timeout: 2 * MINUTE },
    async () => {
      const [alone] = await makeMesh({ count: 2, dir: await dirFor('alone'), brokerUrl: url('mqtts') });
      if (alone === undefined) throw new Error('two were asked for');
      const meets = async (settings: Record<string, string>): Promise<Ended> => {
        for (const [key, value] of Object.entries(settings)) {
          expect((await mesh(['config', 'set', key, value, ...as(alone)])).status).toBe(0);
        }
        const daemon = new MeshProcess(['up', ...as(alone)]);
        try {
          await daemon.saw('disconnected');
          // A wrong clock may be to blame for a date, so that is waited for.
          const goesOn = daemon.events.some(({ permanent }) => permanent === false);
          return goesOn ? await daemon.stop() : await daemon.ended();
        } catch (error) {
          await daemon.stop('SIGKILL');
          throw error;
        }
      };
      const told = ({ events }: Ended): unknown => events.find(({ event }) => event === 'disconnected')?.code;

      await broker.present(await authority.issue({ name: 'localhost', until: LONG_AGO }));
      await broker.start();
      const late = await meets({ 'broker-ca': caFile });
      expect([told(late), late.events.some(({ event }) => event === 'connected')]).toEqual([
        'broker-tls-expired',
        false,
      ]);
      await broker.kill();
      await broker.present(await authority.issue({ name: 'localhost', until: LATER }));
      await broker.start();
      const otherFile = join(base, 'other-ca.pem');
      await writeFile(otherFile, (await makeAuthority('somebody else')).cert);
      expect(outcome(await meets({ 'broker-ca': otherFile }))).toEqual([5, 'broker-tls-untrusted']);
      const elsewhere = url('mqtts').replace('localhost', '127.0.0.1');
      expect(outcome(await meets({ 'broker-ca': caFile, broker: elsewhere }))).toEqual([
        5,
        'broker-tls-wrong-name',
      ]);
    },
  );

  it.runIf(kind.inside === undefined)(
    `both ends settle on MQTT ${kind.speaks === 5 ? '5' : '3.1.1'}`,
    { timeout: 2 * MINUTE },
    async () => {
      if (secure === undefined) await broker.start();
      const [way] = ways;
      const transport = meshClient(url(way), device(1), { ca: authority.cert });
      const saw = new Witness();
      transport.open(saw);
      await saw.connectedTimes(1);
      expect(transport.status().version).toBe(kind.speaks);
      await transport.close();
    },
  );

  it('they pair, each on its way', { timeout: 2 * MINUTE }, async () => {
    const [first, second, third] = ways;
    const port = Number(new URL(url(first)).port);
    const options = kind.inside?.(port) ?? [];
    const toBroker = kind.inside === undefined ? ['--broker', url(first), '--broker-ca', caFile] : [];
    const laptop = await grown(await make(base, 'laptop', ...toBroker), options);
    await laptop.start();
    for (const [name, way] of [
      ['phone', second],
      ['Pi', third],
    ] as const) {
      const newcomer = place(base, name);
      const trust = kind.inside === undefined ? ['--broker-ca', caFile] : [];
      const inviter = kind.inside === undefined ? (members.at(-1) ?? laptop) : laptop;
      const pairing = await pair(inviter.place, newcomer, '--name', name, ...trust);
      expect(pairing.join.status, pairing.join.stdout + pairing.join.stderr).toBe(0);
      const member = await grown(newcomer);
      await member.start();
      if (kind.inside === undefined) await member.set('broker', url(way));
    }
    await each(async (member) => {
      await eventually(async () => (await membersOf(member)) === 3, 'everybody knows everybody', MINUTE);
    });
  });

  it('what they say goes every way, text, bytes and 64 KiB', { timeout: 2 * MINUTE }, async () => {
    await each((member) => member.sayAll(10));
    await settle();
    for (const member of members) expect(await heardBy(member, 'early')).toEqual(meantFor(member));
  });

  it('the broker is killed in the middle of it, and comes back', { timeout: 2 * MINUTE }, async () => {
    const said = each((member) => member.sayAll(30));
    await eventually(
      () => cast().every((member) => member.said.length >= 15),
      'they are in the middle of it',
    );
    await kill();
    await startAgain();
    await said;
    await settle();
  });

  it('a device that was away gets what was sent meanwhile', { timeout: 2 * MINUTE }, async () => {
    const [laptop, phone, pi] = cast();
    await pi.stop();
    await Promise.all([laptop.sayAll(12), phone.sayAll(12)]);
    await settle();
    if (kind.keepsQueues) {
      for (const sender of [laptop, phone]) {
        await eventually(
          async () => (await sender.outbox()).every(({ state }) => state === 'published'),
          'the broker has all of it',
          MINUTE,
        );
      }
      // Nobody is left who could say it again: what the Pi gets now, the broker has kept over its own death.
      await laptop.stop();
      await phone.stop();
      await kill();
      await startAgain();
      await pi.start();
      expect(await heardBy(pi, 'late')).toEqual(meantFor(pi));
      await laptop.start();
      await phone.start();
    } else await pi.start();
    await settle();
  });

  it('the broker is killed and forgets everything', { timeout: 2 * MINUTE }, async () => {
    const [laptop, phone, pi] = cast();
    await pi.stop();
    await Promise.all([laptop.sayAll(12), phone.sayAll(12)]);
    const said = Promise.all([laptop.sayAll(12), phone.sayAll(12)]);
    await kill();
    await broker.wipe();
    await startAgain();
    await said;
    await reconnect();
    await pi.start();
    await pi.sayAll(5);
    await settle();
  });

  it('one is removed while it is away, and reads nothing that is said after', {
    timeout: 2 * MINUTE,
  }, async () => {
    const [laptop, phone, pi] = cast();
    expect(await heardBy(phone, 'all')).toEqual(meantFor(phone));
    await phone.stop();
    const args = ['--reason', 'lost', '--yes', '--wait', '--timeout', '1s'];
    await mesh(['revoke', phone.deviceId, ...args, ...as(laptop.place)]);
    await eventually(async () => (await membersOf(pi)) === 2, 'the Pi has applied it', MINUTE);
    const before = [laptop, pi].map(({ said }) => said.length);
    await Promise.all([laptop.sayAll(10), pi.sayAll(10)]);
    const after = [laptop, pi].flatMap(({ said }, i) => said.slice(before[i]));
    expect(after.filter(({ to }) => to.includes(phone.deviceId))).toEqual([]);
    expect(outcome(await mesh(['up', ...as(phone.place)]))).toEqual([7, 'device-revoked']);
    await expectSilence(phone, 'all');
    await settle();
  });

  it('all that was accepted has arrived once, in the order of its sender', {
    timeout: 2 * MINUTE,
  }, async () => {
    const [laptop, , pi] = cast();
    for (const member of [laptop, pi]) {
      expect(await heardBy(member, 'all')).toEqual(meantFor(member));
      await expectSilence(member, 'all');
    }
    expect(meantFor(pi).laptop?.length).toBeGreaterThan(80);
  });

  async function dirFor(name: string): Promise<string> {
    const dir = join(base, name);
    await mkdir(dir, { recursive: true });
    return dir;
  }

  async function grown(made: Place, options: readonly string[] = []): Promise<Member> {
    const { events } = await mesh(['status', ...as(made)]);
    const member = new Member(made, String(events[0]?.deviceId), options);
    members = [...members, member];
    return member;
  }

  async function membersOf({ place }: Member): Promise<number> {
    const { events } = await mesh(['devices', ...as(place)]);
    return events.filter(({ status }) => status === 'member').length;
  }
}
