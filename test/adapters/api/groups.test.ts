/** Groups through the local API: named as people name them, on devices that run. */
import { beforeEach, describe, expect, it, test } from 'vitest';
import { groupMethods } from '../../../src/adapters/api/groups.ts';
import { createReaders } from '../../../src/adapters/api/readers.ts';
import type { Json, JsonObject } from '../../../src/adapters/rpc/protocol.ts';
import type { Caller, MethodTable } from '../../../src/adapters/rpc/server.ts';
import { fromBase64, toBase64 } from '../../../src/entities/bytes.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import { MeshError } from '../../../src/entities/errors.ts';
import { type Circle, EVERYBODY } from '../../../src/entities/roster/circle.ts';
import { Rig, SECOND, text } from '../../usecases/messaging/rig.ts';
import type { RigDevice } from '../../usecases/messaging/rig-device.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.met({ devices: 3 });
});

const ported = (device: RigDevice) => ({
  self: device.id,
  messenger: device.messenger,
  membership: device.messenger.log.membership,
  clock: rig.clock,
  base64: { encode: toBase64, decode: fromBase64 },
  online: async () => undefined,
  fatal: (error: unknown): never => {
    throw error;
  },
});

const nobody: Caller = { notify: () => undefined, onGone: () => undefined };

async function ask(methods: MethodTable, name: string, params: JsonObject, caller = nobody): Promise<Json> {
  const method = methods[name];
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const asked = method(params, caller);
  // It is looked at below, when time has passed.
  asked.catch(() => undefined);
  await rig.pass(10 * SECOND);
  return asked;
}

async function on(device: RigDevice, name: string, params: JsonObject = {}): Promise<JsonObject> {
  return (await ask(groupMethods(ported(device)), `group.${name}`, params)) as JsonObject;
}

async function refused(device: RigDevice, name: string, params: JsonObject): Promise<unknown[]> {
  const error = await on(device, name, params).catch((failure: unknown) => failure);
  return error instanceof MeshError ? [error.exit, error.code] : [error];
}

const list = async (device: RigDevice): Promise<readonly JsonObject[]> =>
  (await ask(groupMethods(ported(device)), 'group.list', {})) as readonly JsonObject[];

const ids = (...devices: readonly RigDevice[]): string[] => devices.map(({ id }) => id).sort();

async function sendTo(device: RigDevice, to: Circle, words: string): Promise<void> {
  const sending = device.messenger.send({ to, payload: text(words) });
  await rig.pass(10 * SECOND);
  const sent = await sending;
  if ('refused' in sent) throw new Error(sent.refused);
}

describe('a group', () => {
  it('is made, listed everywhere after everybody, changed and ended', async () => {
    const { laptop, phone, pi } = rig;
    const made = await on(laptop, 'create', { name: '@phones', devices: ["Alice's phone"] });
    expect(made).toMatchObject({ group: 'phones', members: ids(laptop, phone) });
    expect((await list(pi)).map(({ group, groupId, members }) => ({ group, groupId, members }))).toEqual([
      { group: 'all', groupId: EVERYBODY, members: ids(laptop, phone, pi) },
      { group: 'phones', groupId: made.groupId, members: ids(laptop, phone) },
    ]);
    const added = await on(pi, 'add', { group: '@phones', devices: ['the Pi', phone.id.slice(0, 8)] });
    expect(added.members).toEqual(ids(laptop, phone, pi));
    const removed = await on(phone, 'remove', { group: 'phones', devices: ['the Pi'] });
    expect(removed.members).toEqual(ids(laptop, phone));
    expect((await on(pi, 'rename', { group: 'phones', name: 'handsets' })).group).toBe('handsets');
    const groupId = String(made.groupId);
    const ended = await on(laptop, 'delete', { group: groupId.slice(0, 6) });
    expect(ended).toEqual({ group: 'handsets', groupId, members: [] });
    expect(await list(phone)).toHaveLength(1);
  });

  it('is refused with the status that scripts rely on', async () => {
    const { laptop, phone, pi } = rig;
    await on(laptop, 'create', { name: 'phones', devices: [phone.id] });
    const group = 'phones';
    expect(await refused(laptop, 'add', { group: 'pads', devices: [] })).toEqual([4, 'group-unknown']);
    expect(await refused(laptop, 'add', { group, devices: ['nobody'] })).toEqual([4, 'device-unknown']);
    expect(await refused(laptop, 'remove', { group, devices: [pi.id] })).toEqual([4, 'device-not-in-group']);
    expect(await refused(pi, 'create', { name: group })).toEqual([1, 'group-name-taken']);
    expect(await refused(pi, 'create', { name: 'all' })).toEqual([2, 'group-name-reserved']);
    expect(await refused(pi, 'create', { name: '' })).toEqual([2, 'name-empty']);
    expect(await refused(pi, 'create', { name: 'x', devices: 'pi' })).toEqual([2, 'rpc-params-invalid']);
    expect(await refused(pi, 'create', { name: 'x', devices: [1] })).toEqual([2, 'rpc-params-invalid']);
    for (const [name, params] of [
      ['add', { devices: [] }],
      ['remove', { devices: [] }],
      ['rename', { name: 'everybody' }],
      ['delete', {}],
    ] as const) {
      expect(await refused(laptop, name, { group: 'all', ...params })).toEqual([2, 'group-everybody']);
    }
    await rig.revoke(laptop, pi);
    expect(await refused(laptop, 'add', { group, devices: ['the Pi'] })).toEqual([4, 'device-not-member']);
    expect(await refused(laptop, 'rotate', { group: 'pads' })).toEqual([4, 'group-unknown']);
  });

  it('that two have given the same name at once is named by its id', async () => {
    const { laptop, phone, pi } = rig;
    rig.post.keepApart(laptop.id, phone.id);
    rig.post.keepApart(pi.id, phone.id);
    const [one, two] = [
      await on(laptop, 'create', { name: 'phones' }),
      await on(phone, 'create', { name: 'phones' }),
    ];
    rig.post.reunite();
    await rig.pass(3600 * SECOND);
    const ambiguous = await on(pi, 'delete', { group: '@phones' }).catch((failure: unknown) => failure);
    expect(ambiguous).toMatchObject({ code: 'group-ambiguous', exit: 4 });
    for (const { groupId } of [one, two]) expect(String(ambiguous)).toContain(String(groupId));
    await on(pi, 'delete', { group: String(one.groupId) });
    expect((await on(pi, 'add', { group: 'phones', devices: [] })).groupId).toBe(two.groupId);
  });

  it('that was changed by a call whose answer was lost is not complained of when the call is repeated', async () => {
    const { laptop, phone } = rig;
    const again = true;
    const create = { name: 'phones', devices: [phone.id] };
    const made = await on(laptop, 'create', create);
    expect(await on(laptop, 'create', { ...create, again })).toMatchObject({ groupId: made.groupId });
    const remove = { group: 'phones', devices: [phone.id] };
    await on(laptop, 'remove', remove);
    expect((await on(laptop, 'remove', { ...remove, again })).members).toEqual([laptop.id]);
    const rename = { group: 'phones', name: 'handsets' };
    await on(laptop, 'rename', rename);
    expect(await refused(laptop, 'rename', rename)).toEqual([4, 'group-unknown']);
    expect((await on(laptop, 'rename', { ...rename, again })).groupId).toBe(made.groupId);
    await on(laptop, 'delete', { group: 'handsets' });
    expect(await refused(laptop, 'delete', { group: 'handsets' })).toEqual([4, 'group-unknown']);
    expect((await on(laptop, 'delete', { group: 'handsets', again })).members).toEqual([]);
  });
});

test('a list says who has which keys, and a rotation begins anew', async () => {
  const { laptop, phone, pi } = rig;
  const { groupId } = await on(laptop, 'create', { name: 'phones', devices: [phone.id] });
  const keys = async (device: RigDevice): Promise<unknown> => (await list(device))[1]?.keys;
  expect(await keys(laptop)).toEqual({ [phone.id]: { ours: 'none', theirs: false } });
  expect(await on(laptop, 'rotate', { group: 'phones' })).toMatchObject({ group: 'phones', rotated: false });
  await sendTo(laptop, groupId as Circle, 'hello');
  expect(await keys(laptop)).toEqual({ [phone.id]: { ours: 'held', theirs: false } });
  expect(await keys(phone)).toEqual({ [laptop.id]: { ours: 'none', theirs: true } });
  expect(await keys(pi)).toEqual({
    [laptop.id]: { ours: 'none', theirs: false },
    [phone.id]: { ours: 'none', theirs: false },
  });
  expect(await on(laptop, 'rotate', { group: 'phones' })).toMatchObject({ group: 'phones', rotated: true });
  expect(await keys(laptop)).toEqual({ [phone.id]: { ours: 'none', theirs: false } });
});

describe('a reader', () => {
  async function read(
    device: RigDevice,
    params: JsonObject,
  ): Promise<{ cursor: Json; messages: JsonObject[] }> {
    const messages: JsonObject[] = [];
    const caller = {
      ...nobody,
      notify: (_: string, { message }: JsonObject) => void messages.push(message as JsonObject),
    };
    const answer = await ask(createReaders(ported(device)).methods, 'listen', params, caller);
    return { cursor: (answer as JsonObject).cursor ?? null, messages };
  }

  it('of a group gets what was sent to it, by whomever, under the name that it has now', async () => {
    const { laptop, phone, pi } = rig;
    const { groupId } = await on(laptop, 'create', { name: 'phones', devices: [phone.id] });
    await sendTo(laptop, groupId as Circle, 'from inside');
    await sendTo(pi, groupId as Circle, 'from outside');
    await sendTo(pi, EVERYBODY, 'to all');
    await rig.send(pi, phone, 'to one');
    await on(pi, 'rename', { group: 'phones', name: 'handsets' });
    const told = ({ group, groupId: id, text: words }: JsonObject): unknown => [group, id, words];
    for (const group of ['@handsets', 'handsets', String(groupId)]) {
      const { messages } = await read(phone, { group });
      expect(messages.map(told)).toEqual([
        ['handsets', groupId, 'from inside'],
        ['handsets', groupId, 'from outside'],
      ]);
    }
    for (const group of ['all', '@all']) {
      expect((await read(phone, { group })).messages.map(told)).toEqual([['all', 'all', 'to all']]);
    }
    const everything = await read(phone, {});
    expect(everything.messages.map(({ group }) => group)).toEqual(['handsets', 'handsets', 'all', null]);
    const from = await read(phone, { group: 'handsets', from: pi.id });
    expect(from.messages.map(({ text: words }) => words)).toEqual(['from outside']);
    expect((await read(pi, { group: 'handsets' })).messages).toEqual([]);
    await on(laptop, 'delete', { group: 'handsets' });
    expect((await read(phone, {})).messages[0]).toMatchObject({ group: 'handsets', groupId });
    await expect(read(phone, { group: 'handsets' })).rejects.toMatchObject({
      code: 'group-unknown',
      exit: 4,
    });
  });

  it('has a place of its own for each group, and the one it always had without', async () => {
    const { laptop } = rig;
    const { groupId } = await on(laptop, 'create', { name: 'phones' });
    const cursor = async (params: JsonObject): Promise<Json> => (await read(laptop, params)).cursor;
    expect(await cursor({})).toBe('filters [null,null]');
    expect(await cursor({ thread: 'x' })).toBe('filters [null,"x"]');
    expect(await cursor({ group: 'all' })).toBe('filters [null,null,"all"]');
    expect(await cursor({ group: 'phones' })).toBe(`filters [null,null,"${groupId}"]`);
  });
});

test('a group of which only the id is fit to be shown is shown by it', async () => {
  const { laptop } = rig;
  const group = laptop.messenger.log.write({ kind: 'group-create', name: 'all' as DeviceName }).hash;
  expect((await list(laptop))[1]).toMatchObject({ group, groupId: group, members: [] });
});
