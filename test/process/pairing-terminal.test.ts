/** Invites and joins as a person at a terminal has them in front of them. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drawQr } from '../../src/drivers/cli/qr.ts';
import { eventually, freePort } from '../brokers/loopback.ts';
import { temporaryDirectory } from '../support/home.ts';
import { as, compile, MeshProcess, mesh, PROGRAM } from './mesh-process.ts';
import { joining, make, namesOf, outcome, type Place, pair, place } from './pairing-cast.ts';
import { CONTROL_C, ENTER, onTerminal, TerminalProcess } from './pty.ts';

const CONTROL_D = '\u0004';
const ASKS_CODE = 'type the code that it shows (Ctrl-C declines): ';

let base: string;
let laptop: Place;
let screens: TerminalProcess[] = [];
let running: MeshProcess[] = [];

beforeAll(compile, 120_000);
beforeEach(async () => {
  base = await temporaryDirectory();
  laptop = await make(base, 'laptop');
  const up = ['up', '--embedded-broker', `127.0.0.1:${await freePort()}`];
  await kept(new MeshProcess([...up, ...as(laptop)])).saw('connected');
});
afterEach(async () => {
  for (const one of screens) await one.stop();
  for (const one of running.reverse()) await one.stop();
  screens = [];
  running = [];
  await rm(base, { recursive: true, force: true });
});

const kept = (process: MeshProcess): MeshProcess => {
  running.push(process);
  return process;
};

function screen(device: Place, ...args: string[]): TerminalProcess {
  const options = ['--home', device.home, '--key-file', device.keyFile];
  const one = onTerminal([...args, ...options], { env: { NO_COLOR: '1' } });
  screens.push(one);
  return one;
}

/** The link as a person marks it on the screen: in as many lines as it takes there. */
async function linkOn(invite: TerminalProcess): Promise<string> {
  await invite.shows(/mesh:\/\/join#[\w-\s]+\n\n[\s\S]*█/);
  const [found = ''] = /mesh:\/\/join#[\w-]+(?:\n[\w-]+)*/.exec(invite.screen) ?? [];
  return found.replaceAll('\n', '');
}

/** Somebody at the other end, up to the code. */
async function asking(link: string): Promise<[MeshProcess, string]> {
  const join = kept(joining(place(base, 'pi'), link, '--name', 'pi'));
  const { code } = await join.saw('code');
  return [join, String(code)];
}

describe('mesh invite', () => {
  it('shows the link and then the code to scan, in colours of its own, and takes what is typed', async () => {
    const invite = screen(laptop, 'invite');
    const link = await linkOn(invite);
    const drawn = drawQr(link).text.trimEnd().split('\n');
    // It comes in pieces.
    await eventually(() => drawn.every((line) => invite.raw.includes(line)), 'the whole code is drawn', 5000);
    expect(invite.screen.indexOf('mesh://join')).toBeLessThan(invite.screen.indexOf('█'));
    expect(invite.raw.trimEnd().endsWith(drawn.at(-1) ?? 'nothing')).toBe(true);
    const [join, code] = await asking(link);
    await invite.shows(ASKS_CODE);
    const [told] = join.events;
    expect(invite.screen).toContain(`fingerprint of this device:    ${told?.fingerprint}`);
    expect(invite.screen).toContain('"pi" asks to join');
    invite.type(`1234${ENTER}`);
    await invite.shows('once more: ');
    invite.type(`${code.slice(0, 4)} ${code.slice(4)}${ENTER}`);
    await invite.shows('"pi" is a member now');
    expect((await invite.ended()).status).toBe(0);
    expect((await join.ended()).status).toBe(0);
  });

  it('ends with a wrong code, and nobody was added', async () => {
    const invite = screen(laptop, 'invite');
    const [join, code] = await asking(await linkOn(invite));
    await invite.shows(ASKS_CODE);
    invite.type(`${code.startsWith('1') ? '2' : '1'}${code.slice(1)}${ENTER}`);
    expect((await invite.ended()).status).toBe(7);
    expect(invite.screen).toContain('this is not the code that the new device shows');
    expect(outcome(await join.ended())).toEqual([7, 'invite-wrong-code']);
    expect(await namesOf(laptop)).toEqual(['laptop']);
  });

  it.each([
    ['control-C', CONTROL_C],
    ['control-D', CONTROL_D],
  ])('%s at the code declines', async (_name, keys) => {
    const invite = screen(laptop, 'invite');
    const [join] = await asking(await linkOn(invite));
    await invite.shows(ASKS_CODE);
    invite.type(keys);
    expect((await invite.ended()).status).toBe(7);
    expect(outcome(await join.ended())).toEqual([7, 'invite-declined']);
    expect((await mesh(['requests', ...as(laptop)])).events).toEqual([]);
    expect((await pair(laptop, place(base, 'pi'))).join.status).toBe(0);
  });

  it('control-C before anybody asked cancels', async () => {
    const invite = screen(laptop, 'invite');
    const link = await linkOn(invite);
    invite.type(CONTROL_C);
    expect((await invite.ended()).status).toBe(7);
    const late = await joining(place(base, 'pi'), link, '--name', 'pi').ended();
    expect(outcome(late)).toEqual([7, 'invite-cancelled']);
  });

  it('stops asking where somebody else has answered', async () => {
    const invite = screen(laptop, 'invite');
    const [, code] = await asking(await linkOn(invite));
    await invite.shows(ASKS_CODE);
    await mesh(['approve', '--code', code, ...as(laptop)]);
    expect((await invite.ended()).status).toBe(0);
    expect(invite.screen).toContain('"pi" is a member now');
  });
});

describe('mesh join', () => {
  const pi = (): Place => place(base, 'pi');
  const nothingMade = (): void => {
    expect([existsSync(pi().home), existsSync(pi().keyFile)]).toEqual([false, false]);
  };
  const invited = async (): Promise<[MeshProcess, string]> => {
    const invite = kept(new MeshProcess(['invite', ...as(laptop)]));
    const { link } = await invite.saw('invite');
    return [invite, String(link)];
  };

  it('takes a pasted link in several lines without showing it, asks, and shows the code to type', async () => {
    const [invite, link] = await invited();
    const join = screen(pi(), 'join', '-', '--name', 'pi');
    await join.shows('paste the link (it is not shown): ');
    for (const line of link.match(/.{1,50}/g) ?? []) join.type(line + ENTER);
    await join.shows('join its mesh? [y/N] ');
    expect(join.screen).toContain('an invite of "laptop"');
    expect(join.raw).not.toContain(link.slice(20, 40));
    join.type(`y${ENTER}`);
    await join.shows(/ {4}\d{4} \d{4}\n/);
    const [, code = ''] = / {4}(\d{4} \d{4})\n/.exec(join.screen) ?? [];
    await invite.saw('claimed');
    const approve = await mesh(['approve', '--code', code, ...as(laptop)]);
    expect(approve.status, approve.stdout).toBe(0);
    expect((await join.ended()).status).toBe(0);
    expect(join.screen).toContain('this device is a member now, one of 2');
  });

  it.each([
    ['control-C', CONTROL_C],
    ['no', `n${ENTER}`],
    ['nothing', ENTER],
  ])('%s at the question makes nothing, and the invite goes on', async (_name, keys) => {
    const [invite, link] = await invited();
    const join = screen(pi(), 'join', link, '--name', 'pi');
    await join.shows('join its mesh? [y/N] ');
    join.type(keys);
    expect((await join.ended()).status).toBe(7);
    nothingMade();
    const again = kept(joining(pi(), link, '--name', 'pi'));
    await again.saw('code');
    await invite.saw('claimed');
  });

  it('asks at the terminal where the link comes through a pipe', async () => {
    const [invite, link] = await invited();
    const words = [process.execPath, PROGRAM, 'join', '-', '--name', 'pi', ...as(pi()).slice(1)];
    const line = `printf '%s' '${link}' | '${words.join("' '")}'`;
    const join = new TerminalProcess('/bin/sh', ['-c', line]);
    screens.push(join);
    await join.shows('join its mesh? [y/N] ');
    join.type(`y${ENTER}`);
    await join.shows('type this code at "laptop":');
    await invite.saw('claimed');
    expect((await mesh(['decline', ...as(laptop)])).status).toBe(0);
    expect((await join.ended()).status).toBe(7);
    expect(join.screen).toContain('declined at the inviting device');
  });

  it('control-C at the link makes nothing', async () => {
    const join = screen(pi(), 'join', '-', '--name', 'pi');
    await join.shows('paste the link (it is not shown): ');
    join.type(CONTROL_C);
    expect((await join.ended()).status).toBe(2);
    nothingMade();
  });

  it('control-C while it waits tells the inviter, and the device can join later', async () => {
    const [invite, link] = await invited();
    const join = screen(pi(), 'join', link, '--yes', '--name', 'pi');
    await join.shows('type this code at "laptop":');
    await invite.saw('claimed');
    join.type(CONTROL_C);
    expect((await join.ended()).status).toBe(7);
    expect(join.screen).toContain('joining was given up here');
    expect(outcome(await invite.ended())).toEqual([7, 'newcomer-gave-up']);
    expect((await pair(laptop, pi(), '--name', 'pi')).join.status).toBe(0);
  });
});

describe('mesh revoke and mesh leave', () => {
  it('do nothing without a yes', async () => {
    const pi = place(base, 'pi');
    expect((await pair(laptop, pi, '--name', 'pi')).join.status).toBe(0);
    const revoke = screen(laptop, 'revoke', 'pi');
    await revoke.shows('remove it for ever? [y/N] ');
    revoke.type(CONTROL_C);
    expect((await revoke.ended()).status).toBe(7);
    const leave = screen(pi, 'leave');
    await leave.shows('leave the mesh? [y/N] ');
    leave.type(`no${ENTER}`);
    expect((await leave.ended()).status).toBe(7);
    expect(await namesOf(laptop)).toEqual(['laptop', 'pi']);
    const sure = screen(laptop, 'revoke', 'pi');
    await sure.shows('remove it for ever? [y/N] ');
    sure.type(`y${ENTER}`);
    expect((await sure.ended()).status).toBe(0);
    expect(await namesOf(laptop)).toEqual(['laptop']);
  });
});
