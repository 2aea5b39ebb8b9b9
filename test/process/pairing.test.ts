/** Invites, from the link to the member: the whole program, as scripts use it. */
import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKeystore } from '../../src/drivers/node/open-keystore.ts';
import { makeKeyFile } from '../../src/drivers/node/unlock.ts';
import { eventually, freePort, realRandomness } from '../brokers/loopback.ts';
import { hasMosquitto, type Mosquitto, startMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { as, compile, MeshProcess, mesh } from './mesh-process.ts';
import { joining, make, namesOf, outcome, type Place, pair, place } from './pairing-cast.ts';

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

function start(args: readonly string[], options?: { readonly input: string }): MeshProcess {
  const process = new MeshProcess(args, options);
  running.push(process);
  return process;
}

const kept = (process: MeshProcess): MeshProcess => {
  running.push(process);
  return process;
};

async function daemon(device: Place, ...args: string[]): Promise<MeshProcess> {
  const process = start(['up', ...as(device), ...args]);
  await process.saw('ready');
  await process.saw('connected');
  return process;
}

/** A laptop whose daemon runs the broker too. */
async function laptopWithBroker(): Promise<Place> {
  const laptop = await make(base, 'laptop');
  await daemon(laptop, '--embedded-broker', `127.0.0.1:${port}`);
  return laptop;
}

async function inviting(device: Place, ...options: string[]): Promise<[MeshProcess, string]> {
  const process = start(['invite', ...options, ...as(device)]);
  const { link } = await process.saw('invite');
  return [process, String(link)];
}

async function delivers(from: Place, to: Place, text: string): Promise<void> {
  const wait = ['--wait', 'delivered', '--timeout', '30s'];
  const [sent, got] = await Promise.all([
    mesh(['send', to.name, text, ...wait, ...as(from)]),
    mesh(['listen', '--count', '1', '--timeout', '30s', ...as(to)]),
  ]);
  expect(sent.status, sent.stdout + sent.stderr).toBe(0);
  expect(got.events).toMatchObject([{ text }]);
}

const nothingOf = (device: Place): void => {
  expect([existsSync(device.home), existsSync(device.keyFile)]).toEqual([false, false]);
};

describe('from an invite to a member, at the broker of the inviter', () => {
  it('says at both ends what the contract says, and messages pass both ways', async () => {
    const laptop = await laptopWithBroker();
    const pi = place(base, 'pi');
    const { invite, join, approve, code } = await pair(laptop, pi, '--name', 'pi');
    for (const ended of [invite, join, approve]) expect(ended.status, ended.stderr).toBe(0);
    const [made, claimed, joined] = invite.events;
    const [inviter, , member] = join.events;
    expect(invite.events.map(({ event }) => event)).toEqual(['invite', 'claimed', 'joined']);
    expect(join.events.map(({ event }) => event)).toEqual(['inviter', 'code', 'joined']);
    expect(String(made?.link)).toMatch(/^mesh:\/\/join#[\w-]+$/);
    expect(String(made?.link).length).toBeLessThanOrEqual(270);
    const life = Number(made?.expiresAt) - Date.now();
    expect(life).toBeGreaterThan(8 * 60_000);
    expect(life).toBeLessThanOrEqual(10 * 60_000);
    expect(code.code).toMatch(/^\d{8}$/);
    const newcomer = member?.deviceId;
    expect(claimed).toMatchObject({ deviceId: newcomer, name: 'pi', fingerprint: code.fingerprint });
    expect(String(code.fingerprint).replaceAll(' ', '')).toBe(newcomer);
    expect(joined).toEqual({ event: 'joined', deviceId: newcomer, name: 'pi' });
    expect(approve.events).toEqual([joined]);
    expect(member).toEqual({ event: 'joined', deviceId: newcomer, members: 2 });
    expect(inviter).toMatchObject({ name: 'laptop', broker: `mqtt://127.0.0.1:${port}` });
    expect(String(inviter?.fingerprint).replaceAll(' ', '')).toBe(inviter?.deviceId);
    await daemon(pi);
    await delivers(laptop, pi, 'there');
    await delivers(pi, laptop, 'and back');
    expect(await namesOf(pi)).toEqual(['laptop', 'pi']);
  });

  it('works where the newcomer has a daemon, which goes on in the new mesh', async () => {
    const laptop = await laptopWithBroker();
    const phone = await make(base, 'phone');
    const other = await freePort();
    const before = await daemon(phone, '--embedded-broker', `127.0.0.1:${other}`);
    await before.stop();
    await mesh(['config', 'set', 'broker', `mqtt://127.0.0.1:${other}`, ...as(phone)]);
    const elsewhere = start(['up', ...as(phone)]);
    await elsewhere.saw('ready');
    const { join } = await pair(laptop, phone);
    expect(join.events.at(-1)).toMatchObject({ event: 'joined', members: 2 });
    await delivers(laptop, phone, 'to the daemon that stayed');
    await delivers(phone, laptop, 'from it');
    expect(elsewhere.child.exitCode).toBe(null);
  });

  it('finishes what was cut off between the making of the store and that of the device', async () => {
    const laptop = await laptopWithBroker();
    const pi = place(base, 'pi');
    const { keystore } = await createKeystore(pi.home, await makeKeyFile(pi.keyFile, realRandomness));
    await keystore.close();
    expect(outcome(await mesh(['status', ...as(pi)]))).toEqual([3, 'store-unfinished']);
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
    expect(await namesOf(laptop)).toEqual(['laptop', 'pi']);
  });

  it('brings in a third device, of which the second hears; only who has the broker can invite to it', async () => {
    const laptop = await laptopWithBroker();
    const [pi, phone] = [place(base, 'pi'), place(base, 'phone')];
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
    await daemon(pi);
    // What the Pi has at the laptop's broker is a login for itself, and none that it could give away.
    expect(outcome(await mesh(['invite', ...as(pi)]))).toEqual([1, 'invite-not-host']);
    expect((await pair(laptop, phone, '--name', 'phone')).join.status).toBe(0);
    expect(await namesOf(phone)).toEqual(['laptop', 'phone', 'pi']);
    await daemon(phone);
    await delivers(phone, pi, 'we have not met');
  });
});

describe.skipIf(!hasMosquitto)('without daemons, at a broker somewhere', () => {
  let broker: Mosquitto;
  beforeEach(async () => {
    broker = await startMosquitto();
  });
  afterEach(() => broker.stop());

  it('one terminal invites, a second one approves, and both hear of it', async () => {
    const laptop = await make(base, 'laptop', '--broker', broker.url);
    const pi = place(base, 'pi');
    const { invite, join, approve } = await pair(laptop, pi, '--name', 'pi');
    for (const ended of [invite, join, approve]) expect(ended.status, ended.stderr).toBe(0);
    expect(invite.events.at(-1)).toMatchObject({ event: 'joined', name: 'pi' });
    expect(await namesOf(laptop)).toEqual(['laptop', 'pi']);
    expect(await namesOf(pi)).toEqual(['laptop', 'pi']);
  });

  it('an invite whose command was killed is completed by "approve" alone', async () => {
    const laptop = await make(base, 'laptop', '--broker', broker.url);
    const [invite, link] = await inviting(laptop);
    const join = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
    const { code } = await join.saw('code');
    await invite.saw('claimed');
    await invite.stop('SIGKILL');
    const requests = await mesh(['requests', ...as(laptop)]);
    expect(requests.events).toMatchObject([{ name: 'pi' }]);
    const [request] = requests.events;
    const grouped = `${String(code).slice(0, 4)} ${String(code).slice(4)}`;
    const approve = await mesh(['approve', '--code', grouped, String(request?.requestId), ...as(laptop)]);
    expect([approve.status, approve.events]).toMatchObject([0, [{ event: 'joined', name: 'pi' }]]);
    expect((await join.ended()).events.at(-1)).toMatchObject({ event: 'joined', members: 2 });
  });

  it('a join whose command was killed goes on with the same link', async () => {
    const laptop = await make(base, 'laptop', '--broker', broker.url);
    const pi = place(base, 'pi');
    const [invite, link] = await inviting(laptop);
    const first = kept(joining(pi, link, '--name', 'pi'));
    const before = await first.saw('code');
    await first.stop('SIGKILL');
    const second = kept(joining(pi, link, '--name', 'pi'));
    expect(await second.saw('code')).toEqual(before);
    await invite.saw('claimed');
    await mesh(['approve', '--code', String(before.code), ...as(laptop)]);
    expect((await second.ended()).status).toBe(0);
    expect((await invite.ended()).status).toBe(0);
  });

  it('the link carries the login of the broker only when asked to', async () => {
    const strict = await startMosquitto({ logins: { family: 'secret' } });
    try {
      const laptop = await make(base, 'laptop', '--broker', strict.url);
      await mesh(['config', 'set', 'broker-user', 'family', ...as(laptop)]);
      await mesh(['config', 'set', 'broker-password', '-', ...as(laptop)], { input: 'secret' });
      const [without, link] = await inviting(laptop);
      await eventually(() => without.stderr.includes('--share-broker-login'), 'the hint is given', 5000);
      const turnedAway = await kept(joining(place(base, 'pi'), link, '--name', 'pi')).ended();
      expect(outcome(turnedAway)).toEqual([5, 'join-no-login']);
      const shared = await inviting(laptop, '--share-broker-login');
      const join = kept(joining(place(base, 'phone'), shared[1], '--name', 'phone'));
      const { code } = await join.saw('code');
      await shared[0].saw('claimed');
      await mesh(['approve', '--code', String(code), ...as(laptop)]);
      expect((await join.ended()).status).toBe(0);
    } finally {
      await strict.stop();
    }
  });

  it('a login that the link does not carry can be given where one joins', async () => {
    const strict = await startMosquitto({ logins: { family: 'secret' } });
    try {
      const password = `${base}/password`;
      await writeFile(password, 'secret\n', { mode: 0o600 });
      const login = ['--broker-user', 'family', '--broker-password-file', password];
      const laptop = await make(base, 'laptop', '--broker', strict.url, ...login);
      const { join } = await pair(laptop, place(base, 'pi'), '--name', 'pi', ...login);
      expect(join.events.at(-1)).toMatchObject({ event: 'joined', members: 2 });
    } finally {
      await strict.stop();
    }
  });

  it('nobody is left waiting for an invite that no process would answer', async () => {
    const laptop = await make(base, 'laptop', '--broker', broker.url);
    const invite = await mesh(['invite', '--no-wait', ...as(laptop)]);
    expect(outcome(invite)).toEqual([2, 'invite-needs-daemon']);
    expect(invite.events).toHaveLength(1);
  });

  it('a device with siblings does not go over to another mesh', async () => {
    const laptop = await make(base, 'laptop', '--broker', broker.url);
    const pi = place(base, 'pi');
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
    const stranger = await make(base, 'stranger', '--broker', broker.url);
    const [, link] = await inviting(stranger);
    expect(outcome(await joining(pi, link).ended())).toEqual([7, 'already-in-mesh']);
    expect(await namesOf(pi)).toEqual(['laptop', 'pi']);
  });
});

describe('what ends an invite', () => {
  it('a wrong code, for both ends, and nobody was added', async () => {
    const laptop = await laptopWithBroker();
    const [invite, link] = await inviting(laptop);
    const join = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
    const { code } = await join.saw('code');
    await invite.saw('claimed');
    const none = await mesh(['approve', '--code', '1234567', ...as(laptop)]);
    expect(outcome(none)).toEqual([2, 'code-malformed']);
    const wrong = String((Number(code) + 1) % 100_000_000).padStart(8, '0');
    expect(outcome(await mesh(['approve', '--code', wrong, ...as(laptop)]))).toEqual([7, 'code-wrong']);
    expect(outcome(await invite.ended())).toEqual([7, 'code-wrong']);
    expect(outcome(await join.ended())).toEqual([7, 'invite-wrong-code']);
    const again = await mesh(['approve', '--code', String(code), ...as(laptop)]);
    expect(outcome(again)).toEqual([4, 'no-request']);
    expect(await namesOf(laptop)).toEqual(['laptop']);
  });

  it('a person who declines; the device that was made stays, and joins with the next invite', async () => {
    const laptop = await laptopWithBroker();
    const pi = place(base, 'pi');
    const [invite, link] = await inviting(laptop);
    const join = kept(joining(pi, link, '--name', 'pi'));
    await join.saw('code');
    await invite.saw('claimed');
    const declined = await mesh(['decline', ...as(laptop)]);
    expect(declined.events).toMatchObject([{ event: 'declined', name: 'pi' }]);
    expect(outcome(await invite.ended())).toEqual([7, 'invite-declined']);
    expect(outcome(await join.ended())).toEqual([7, 'invite-declined']);
    expect(outcome(await mesh(['decline', ...as(laptop)]))).toEqual([4, 'no-request']);
    expect(await namesOf(pi)).toEqual(['pi']);
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
  });

  it('its time, for whoever waits and whoever comes late', async () => {
    const laptop = await laptopWithBroker();
    const [invite, link] = await inviting(laptop, '--ttl', '1s');
    expect(outcome(await invite.ended())).toEqual([7, 'invite-expired']);
    const pi = place(base, 'pi');
    expect(outcome(await joining(pi, link, '--name', 'pi').ended())).toEqual([7, 'invite-expired']);
    nothingOf(pi);
    for (const ttl of ['500ms', '25h']) {
      const odd = await mesh(['invite', '--ttl', ttl, ...as(laptop)]);
      expect(outcome(odd), ttl).toEqual([2, 'invite-ttl-invalid']);
    }
  });

  it('cancelling it', async () => {
    const laptop = await laptopWithBroker();
    expect(outcome(await mesh(['invite', '--cancel', ...as(laptop)]))).toEqual([4, 'no-invite']);
    const [invite, link] = await inviting(laptop);
    const cancelled = await mesh(['invite', '--cancel', ...as(laptop)]);
    expect([cancelled.status, cancelled.events[0]?.event]).toEqual([0, 'cancelled']);
    expect(outcome(await invite.ended())).toEqual([7, 'invite-cancelled']);
    const late = await joining(place(base, 'pi'), link, '--name', 'pi').ended();
    expect(outcome(late)).toEqual([7, 'invite-cancelled']);
  });

  it('the next invite, as long as nobody uses it', async () => {
    const laptop = await laptopWithBroker();
    const [first] = await inviting(laptop);
    const [second, link] = await inviting(laptop);
    expect(outcome(await first.ended())).toEqual([7, 'invite-cancelled']);
    const join = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
    await join.saw('code');
    await second.saw('claimed');
    expect(outcome(await mesh(['invite', ...as(laptop)]))).toEqual([7, 'invite-in-use']);
  });

  it('its use: whoever comes second gets nothing', async () => {
    const laptop = await laptopWithBroker();
    const [invite, link] = await inviting(laptop);
    const first = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
    const { code } = await first.saw('code');
    await invite.saw('claimed');
    const meanwhile = await joining(place(base, 'thief'), link, '--name', 'pi').ended();
    expect(outcome(meanwhile)).toEqual([7, 'invite-used']);
    await mesh(['approve', '--code', String(code), ...as(laptop)]);
    expect((await first.ended()).status).toBe(0);
    const later = await joining(place(base, 'late'), link, '--name', 'pi').ended();
    expect([later.status, String(later.events.at(-1)?.code)]).toEqual([
      7,
      expect.stringMatching(/^invite-(?:used|over)$/),
    ]);
    expect(await namesOf(laptop)).toEqual(['laptop', 'pi']);
  });

  it('an interruption at either end, which the other end hears of', async () => {
    const laptop = await laptopWithBroker();
    const [invite, link] = await inviting(laptop);
    const join = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
    await join.saw('code');
    await invite.saw('claimed');
    expect(outcome(await join.stop('SIGINT'))).toEqual([7, 'join-cancelled']);
    expect(outcome(await invite.ended())).toEqual([7, 'newcomer-gave-up']);

    const [open, cancelled] = await inviting(laptop);
    expect(outcome(await open.stop('SIGINT'))).toEqual([7, 'invite-cancelled']);
    const late = await joining(place(base, 'pi'), cancelled).ended();
    expect(outcome(late)).toEqual([7, 'invite-cancelled']);

    const [claimed, link3] = await inviting(laptop);
    const third = kept(joining(place(base, 'pi'), link3));
    await third.saw('code');
    await claimed.saw('claimed');
    expect(outcome(await claimed.stop('SIGTERM'))).toEqual([7, 'invite-declined']);
    expect(outcome(await third.ended())).toEqual([7, 'invite-declined']);
  });
});

describe('a link that is no good', () => {
  const LINK =
    'mesh://join#AQCbTip7DBrftsahm-UfFaGv3fRJaNKxiPeBxtHt_nMV_LKG6oDh9vSxE6FqgMCygsUWj3rKCaHaJXscPyiIv53ZZo0lU7Op324Bu34aRUw6y36xBG0jxsi-Ivuk5dSOS1b_tTjd_qApPXnTtKyB01bKZOboApXDKmKGawG6PBAGbGFwdG9wDzEyNy4wLjAuMToyMTg4M5HvZQs';

  it.each([
    ['something else', 'https://example.org/', 2, 'link-invalid'],
    ['nothing', '', 2, 'link-invalid'],
    ['one without its end', LINK.slice(0, -3), 2, 'link-cut'],
    ['one with another character', LINK.replace('3fRJ', '3fRK'), 2, 'link-damaged'],
    ['one with another version number', LINK.replace('#AQ', '#Ag'), 2, 'link-damaged'],
    ['far too much', 'x'.repeat(1_000_000), 2, 'link-too-long'],
  ])('is told of before anything is made or asked: %s', async (_what, link, status, code) => {
    const pi = place(base, 'pi');
    expect(outcome(await joining(pi, link, '--name', 'pi').ended())).toEqual([status, code]);
    nothingOf(pi);
  });

  it('is taken as an argument too, and wrapped by whatever it was copied from', async () => {
    const laptop = await laptopWithBroker();
    const [, link] = await inviting(laptop);
    const wrapped = (link.match(/.{1,40}/g) ?? []).map((line) => `  ${line}`).join('\r\n');
    const join = kept(joining(place(base, 'pi'), `${wrapped}\n\n`, '--name', 'pi'));
    await join.saw('code');
    expect(outcome(await join.stop('SIGINT'))).toEqual([7, 'join-cancelled']);
    const [, other] = await inviting(laptop);
    const own = await mesh(['join', other, '--yes', ...as(laptop)]);
    expect(outcome(own)).toEqual([7, 'invite-own']);
  });

  it('needs somebody who agrees, and a name that can be used, before anything is made', async () => {
    const laptop = await laptopWithBroker();
    const [, link] = await inviting(laptop);
    const pi = place(base, 'pi');
    const run = (...args: string[]) => mesh(['join', '-', ...args, ...as(pi)], { input: link });
    expect(outcome(await run('--name', 'pi'))).toEqual([2, 'answer-needed']);
    expect(outcome(await run('--yes', '--name', ' '))).toMatchObject([2, expect.stringMatching(/^name-/)]);
    expect(outcome(await run('--yes', '--name', 'pi', '--broker', 'nowhere'))).toEqual([
      2,
      'broker-url-invalid',
    ]);
    nothingOf(pi);
    await make(base, 'pi');
    expect(outcome(await run('--yes', '--name', 'tablet'))).toEqual([2, 'join-name-given']);
    expect(outcome(await run('--yes', '--broker', 'mqtt://127.0.0.1'))).toEqual([2, 'usage']);
    expect(await readdir(base)).toContain('pi');
  });
});
