import type { Command } from 'commander';
import { isObject, type Json, type JsonObject } from '../../../adapters/rpc/protocol.ts';
import type { Run } from '../command.ts';
import { withExamples } from '../examples.ts';
import { harmless, type Invocation } from '../invocation.ts';
import { type Link, withMesh } from '../session.ts';
import { asObjects } from './outbox.ts';

const GROUP = 'the name of a group, its id, or 6 or more of the first characters of that';
const DEVICES = 'device ids, 6 or more of their first characters, or names';

export function defineGroup(program: Command, run: Run): void {
  const group = program.command('group').description('some of the devices, under a name of their own');
  const create = group
    .command('create')
    .description('make a group of this device and others')
    .argument('<name>', 'what "mesh send @NAME" is to mean; 1 to 64 characters')
    .argument('[device...]', DEVICES)
    .action((name: string, devices: readonly string[], _options: unknown, command: Command) =>
      run(command, (invocation) => change(invocation, 'group.create', { name, devices })),
    );
  const add = group
    .command('add')
    .description('take devices into a group')
    .argument('<group>', GROUP)
    .argument('<device...>', DEVICES)
    .action((name: string, devices: readonly string[], _options: unknown, command: Command) =>
      run(command, (invocation) => change(invocation, 'group.add', { group: name, devices })),
    );
  const remove = group
    .command('remove')
    .description('take devices out of a group; they read nothing that is sent to it afterwards')
    .argument('<group>', GROUP)
    .argument('<device...>', DEVICES)
    .action((name: string, devices: readonly string[], _options: unknown, command: Command) =>
      run(command, (invocation) => change(invocation, 'group.remove', { group: name, devices })),
    );
  const rename = group
    .command('rename')
    .description('give a group another name, everywhere in the mesh')
    .argument('<group>', GROUP)
    .argument('<name>', 'the new one')
    .action((old: string, name: string, _options: unknown, command: Command) =>
      run(command, (invocation) => change(invocation, 'group.rename', { group: old, name })),
    );
  const end = group
    .command('delete')
    .description('end a group, for ever; its devices stay')
    .argument('<group>', GROUP)
    .action((name: string, _options: unknown, command: Command) =>
      run(command, (invocation) => deleteGroup(invocation, name)),
    );
  const rotate = group
    .command('rotate')
    .description('begin with a fresh key at the next message from here; keys change by themselves too')
    .argument('<group-or-all>', `"all", or ${GROUP}`)
    .action((name: string, _options: unknown, command: Command) =>
      run(command, (invocation) => rotateKey(invocation, name)),
    );
  const list = group
    .command('list')
    .description('everybody and all groups, and which members have the keys to read what is sent')
    .action((_options: unknown, command: Command) => run(command, listGroups));
  withExamples(create, 'mesh group create phones "Alice\'s phone" pi');
  withExamples(add, 'mesh group add phones tablet');
  withExamples(remove, 'mesh group remove phones pi');
  withExamples(rename, 'mesh group rename phones "all that ring"');
  withExamples(end, 'mesh group delete phones');
  withExamples(rotate, 'mesh group rotate phones', 'mesh group rotate all');
  withExamples(list, 'mesh group list', 'mesh group list --json | jq -r .group');
}

/** A call that may have had its effect before the connection ended says so when it is made once more. */
function callOnce(invocation: Invocation, method: string, params: JsonObject): Promise<Shown> {
  let again = false;
  return withMesh(invocation, async (link) => {
    const call = link.call(method, again ? { ...params, again } : params);
    again = true;
    const answer = await call;
    if (!isObject(answer)) throw new Error(`${method} was answered with something else`);
    return { answer, names: await namesOf(link) };
  });
}

interface Shown {
  readonly answer: JsonObject;
  readonly names: Names;
}

async function change(invocation: Invocation, method: string, params: JsonObject): Promise<undefined> {
  const { answer, names } = await callOnce(invocation, method, params);
  await invocation.out.say(answer, describe(answer, names));
}

async function deleteGroup(invocation: Invocation, group: string): Promise<undefined> {
  const { answer } = await callOnce(invocation, 'group.delete', { group });
  await invocation.out.say(answer, `the group "${harmless(String(answer.group))}" is no more`);
}

async function rotateKey(invocation: Invocation, group: string): Promise<undefined> {
  const { answer } = await callOnce(invocation, 'group.rotate', { group });
  const what = answer.rotated === true ? 'the key is given up' : 'no key is in use';
  await invocation.out.say(answer, `${what}; the next message from here begins with a fresh one`);
}

async function listGroups(invocation: Invocation): Promise<undefined> {
  const [groups, names] = await withMesh(invocation, async (link) => {
    return [await link.call('group.list'), await namesOf(link)] as const;
  });
  for (const group of asObjects(groups)) await invocation.out.say(group, describe(group, names));
}

interface Names {
  readonly self: Json | undefined;
  /** By id; padded to one width. */
  readonly of: ReadonlyMap<string, string>;
}

async function namesOf(link: Link): Promise<Names> {
  const devices = asObjects(await link.call('devices')).filter(({ status }) => status === 'member');
  const shown = devices.map((one) => [String(one.deviceId), harmless(String(one.name))] as const);
  const width = Math.max(0, ...shown.map(([, name]) => name.length));
  return {
    self: devices.find(({ self }) => self === true)?.deviceId,
    of: new Map(shown.map(([id, name]) => [id, name.padEnd(width)])),
  };
}

const SHORT_ID = 12;

/** The group, and below it a line for each who is in it. */
function describe({ group, groupId, members, keys }: JsonObject, { self, of }: Names): string {
  const isAll = groupId === 'all';
  const title = isAll ? 'all' : `@${harmless(String(group))}  ${String(groupId).slice(0, SHORT_ID)}`;
  const ids = Array.isArray(members) ? members.map(String) : [];
  const lines = ids.map((id) => {
    const how = id === self ? 'this device' : coverage(isObject(keys) ? keys[id] : undefined);
    return `  ${of.get(id) ?? id}  ${how}`;
  });
  return [title, ...(lines.length > 0 ? lines : ['  nobody'])].join('\n');
}

function coverage(keys: Json | undefined): string {
  const { ours, theirs } = isObject(keys) ? keys : {};
  const has =
    ours === 'held'
      ? 'has our key'
      : ours === 'given'
        ? 'our key is on its way'
        : 'gets our key when we send';
  return `${has}; ${theirs === true ? 'we have its key' : 'it has given us none yet'}`;
}
