/** Devices that are made and paired with nothing but the program itself, as a person at two terminals would. */
import { join } from 'node:path';
import { as, type Ended, type Event, MeshProcess, mesh } from './mesh-process.ts';

export interface Place {
  readonly home: string;
  readonly keyFile: string;
  readonly name: string;
}

/** Where a device is to be. Nothing is there yet. */
export function place(base: string, name: string): Place {
  const home = join(base, name.replaceAll(' ', '-'));
  return { home, keyFile: `${home}.key`, name };
}

/** What went wrong, as a script sees it. */
export const outcome = ({ status, events }: Ended): unknown[] => [status, events.at(-1)?.code];

export async function make(base: string, name: string, ...options: string[]): Promise<Place> {
  const made = place(base, name);
  const ended = await mesh(['init', '--name', name, ...options, ...as(made)]);
  if (ended.status !== 0) throw new Error(ended.stdout + ended.stderr);
  return made;
}

/** Where there is a device already its name is not given again. */
export function joining(newcomer: Place, link: string, ...options: string[]): MeshProcess {
  return new MeshProcess(['join', '-', '--yes', ...options, ...as(newcomer)], { input: link });
}

export interface Pairing {
  readonly invite: Ended;
  readonly join: Ended;
  readonly approve: Ended;
  readonly code: Event;
}

/** From the invite to the member. `toJoin` are the options of the newcomer's command. */
export async function pair(inviter: Place, newcomer: Place, ...toJoin: string[]): Promise<Pairing> {
  const invite = new MeshProcess(['invite', ...as(inviter)]);
  const { link } = await invite.saw('invite');
  const join = joining(newcomer, String(link), ...toJoin);
  const code = await join.saw('code');
  await invite.saw('claimed');
  const approve = await mesh(['approve', '--code', String(code.code), ...as(inviter)]);
  return { approve, code, join: await join.ended(), invite: await invite.ended() };
}

export async function devicesOf(device: Place): Promise<readonly Event[]> {
  const { events, stdout, stderr, status } = await mesh(['devices', ...as(device)]);
  if (status !== 0) throw new Error(stdout + stderr);
  return events;
}

export const namesOf = async (device: Place): Promise<unknown[]> =>
  (await devicesOf(device))
    .filter(({ status }) => status === 'member')
    .map(({ name }) => name)
    .sort();
