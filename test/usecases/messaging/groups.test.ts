/** One message to many: what is encrypted how often, who can read it, and what becomes of it when circles change. */
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { toHex } from '../../../src/entities/bytes.ts';
import { groupContext } from '../../../src/entities/group-session.ts';
import { type Circle, EVERYBODY } from '../../../src/entities/roster/circle.ts';
import type { EntryHash, GroupId, WrittenName } from '../../../src/entities/roster/entry.ts';
import { Secret } from '../../../src/entities/secret.ts';
import type { Value } from '../../../src/entities/wire/cbor.ts';
import { decodeGroupText } from '../../../src/entities/wire/group-text.ts';
import type { Engine } from '../../../src/usecases/ports/engine.ts';
import type { Packet } from './post.ts';
import { withItems } from './rewriting.ts';
import { DAY, MINUTE, Rig, SECOND, words } from './rig.ts';
import type { RigDevice } from './rig-device.ts';

/** What stood beside parcels since a place in the post's log, each ciphertext once, with those it went to. */
function ciphertexts(rig: Rig, since = 0): Map<string, { bytes: Uint8Array; to: Set<string> }> {
  const found = new Map<string, { bytes: Uint8Array; to: Set<string> }>();
  for (const packet of rig.post.log.slice(since)) {
    const envelope = rig.envelope(packet);
    if (envelope.kind !== 'sealed' && envelope.kind !== 'initial') continue;
    for (const bytes of envelope.attached) {
      const key = toHex(bytes);
      const known = found.get(key) ?? { bytes, to: new Set() };
      known.to.add(packet.to);
      found.set(key, known);
    }
  }
  return found;
}

/** The payloads of all that a device could read of what passed, with every key that it was ever given. */
function readableBy(rig: Rig, reader: RigDevice, owner: RigDevice, circle: Circle, since = 0): string[] {
  const engine: Engine = reader.engine;
  const context = groupContext(nodePrimitives.hash, owner.messenger.log.membership().mesh, owner.id, circle);
  const payloads: string[] = [];
  const keys = [...reader.engine.groupKeys];
  for (const { bytes } of ciphertexts(rig, since).values()) {
    for (const key of keys) {
      const session = engine.importGroupSession(new Secret(key.slice()));
      if ('refused' in session) continue;
      const opened = session.ok.decrypt(bytes);
      session.ok.dispose();
      if ('refused' in opened) continue;
      const text = decodeGroupText(opened.ok.plaintext, context);
      payloads.push('ok' in text ? words(text.ok.payload) : text.refused);
      break;
    }
  }
  reader.engine.groupKeys.splice(keys.length);
  return payloads;
}

function group(by: RigDevice, name: string, ...members: RigDevice[]): GroupId {
  const { hash } = by.messenger.log.write({ kind: 'group-create', name: name as WrittenName });
  addTo(by, hash, ...members);
  return hash;
}

function addTo(by: RigDevice, id: GroupId, ...members: RigDevice[]): void {
  by.messenger.log.write({
    kind: 'group-add',
    group: id,
    devices: members.map((member) => member.id).sort(),
  });
}

function takeOut(by: RigDevice, id: GroupId, member: RigDevice): void {
  const found = by.messenger.log.membership().roster.groups.find((one) => one.id === id);
  const adds: readonly EntryHash[] = found?.additions.get(member.id) ?? [];
  by.messenger.log.write({ kind: 'group-remove', group: id, devices: [member.id], adds });
}

async function burst(rig: Rig, from: RigDevice, circle: Circle, count: number): Promise<string[]> {
  const payloads = Array.from({ length: count }, (_, i) => `message ${i}`);
  const sending = payloads.map((payload) =>
    from.messenger.send({ to: circle, payload: new TextEncoder().encode(payload) }),
  );
  await rig.settle();
  for (const sent of await Promise.all(sending)) if ('refused' in sent) throw new Error(sent.refused);
  return payloads;
}

describe('a message to everybody', () => {
  it('is encrypted once, and reaches each with its labels, once and in order', async () => {
    const rig = await Rig.met({ devices: 4 });
    const since = rig.post.log.length;
    const payloads = await burst(rig, rig.laptop, EVERYBODY, 20);
    await rig.send(rig.laptop, EVERYBODY, { type: 'application/json', thread: 'kitchen' });
    await rig.pass(10 * SECOND);
    for (const device of rig.devices.slice(1)) {
      expect(await rig.payloads(device), device.name).toEqual([...payloads, '']);
      const last = (await rig.inbox(device)).at(-1);
      expect(last).toMatchObject({ group: 'all', type: 'application/json', thread: 'kitchen' });
    }
    expect(rig.laptop.engine.counts.encryptForGroup).toBe(21);
    const beside = [...ciphertexts(rig, since).values()].filter(({ to }) => to.size === 3);
    expect(beside).toHaveLength(21);
  });

  it('carries 64 KiB, and any number of them', async () => {
    const rig = await Rig.met({ devices: 3 });
    const payload = new Uint8Array(64 * 1024).fill(0x61);
    for (let i = 0; i < 3; i++) await rig.send(rig.laptop, EVERYBODY, { payload });
    await rig.pass(10 * SECOND);
    for (const device of [rig.phone, rig.pi]) {
      expect((await rig.inbox(device)).map((message) => message.payload.length)).toEqual([
        65536, 65536, 65536,
      ]);
    }
  });

  it('stands in one order with what was sent to a single device', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, rig.phone, 'one');
    await rig.send(rig.laptop, EVERYBODY, 'two');
    await rig.send(rig.laptop, rig.phone, 'three');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'two', 'three']);
    expect((await rig.inbox(rig.phone)).map((message) => message.group)).toEqual([null, 'all', null]);
  });

  it('is refused where there is nobody else', async () => {
    const rig = await Rig.met({ devices: 1 });
    const sent = await rig.laptop.messenger.send({ to: EVERYBODY, payload: new Uint8Array(1) });
    expect(sent).toEqual({ refused: 'no-recipient' });
  });

  it('reaches a device that was away for many changes of the key', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.pi);
    const payloads = await burst(rig, rig.laptop, EVERYBODY, 350);
    await rig.pass(MINUTE);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(4);
    rig.post.forget(rig.pi.id);
    await rig.start(rig.pi);
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.pi)).toEqual(payloads);
    expect(await rig.payloads(rig.phone)).toEqual(payloads);
  });

  it('goes on in the same session after a restart of either end', async () => {
    const rig = await Rig.met({ devices: 3 });
    for (const payload of ['one', 'two']) {
      await rig.send(rig.laptop, EVERYBODY, payload);
      await rig.pass(5 * SECOND);
    }
    await rig.restart(rig.laptop);
    await rig.restart(rig.phone);
    await rig.pass(5 * SECOND);
    const given = rig.phone.engine.groupKeys.length;
    await rig.send(rig.laptop, EVERYBODY, 'three');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'two', 'three']);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(1);
    expect(rig.phone.engine.groupKeys.length).toBe(given);
  });
});

describe('the key of a circle', () => {
  it('changes after a hundred messages, after seven days, and by hand', async () => {
    const rig = await Rig.met({ devices: 3 });
    const sessions = (): number => rig.laptop.engine.counts.createGroupSession;
    await burst(rig, rig.laptop, EVERYBODY, 100);
    await rig.pass(10 * SECOND);
    expect(sessions()).toBe(1);
    await rig.send(rig.laptop, EVERYBODY, 'the hundred and first');
    await rig.pass(10 * SECOND);
    expect(sessions()).toBe(2);
    await rig.pass(7 * DAY);
    await rig.send(rig.laptop, EVERYBODY, 'a week later');
    await rig.pass(10 * SECOND);
    expect(sessions()).toBe(3);
    expect(await rig.laptop.messenger.groups.rotate(EVERYBODY)).toBe(true);
    expect(await rig.laptop.messenger.groups.rotate(EVERYBODY)).toBe(false);
    await rig.send(rig.laptop, EVERYBODY, 'at once');
    await rig.pass(10 * SECOND);
    expect(sessions()).toBe(4);
    expect(await rig.payloads(rig.pi)).toHaveLength(103);
  });

  it('changes in the commit that removes a device, which reads nothing that is encrypted from then on', async () => {
    const rig = await Rig.met({ devices: 4 });
    await rig.send(rig.laptop, EVERYBODY, 'before');
    await rig.pass(5 * SECOND);
    expect(readableBy(rig, rig.pi, rig.laptop, EVERYBODY)).toEqual(['before']);
    const position = rig.laptop.position;
    await rig.revoke(rig.laptop, rig.pi);
    expect(rig.laptop.position - position).toBe(1);
    expect(await rig.laptop.keystore.read('group-sending', EVERYBODY)).toBeUndefined();
    await rig.send(rig.laptop, EVERYBODY, 'after');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['before', 'after']);
    expect(readableBy(rig, rig.phone, rig.laptop, EVERYBODY)).toEqual(['before', 'after']);
    expect(readableBy(rig, rig.pi, rig.laptop, EVERYBODY)).toEqual(['before']);
  });

  it('reads for a newcomer from its first message on, and nothing older that is still under way', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const [tablet] = rig.strangers;
    if (tablet === undefined) throw new Error('a rig without strangers');
    await rig.send(rig.laptop, EVERYBODY, 'before');
    await rig.pass(5 * SECOND);
    rig.post.disconnect(rig.laptop.id);
    await rig.send(rig.laptop, EVERYBODY, 'under way');
    await rig.add(rig.laptop, tablet);
    await rig.send(rig.laptop, EVERYBODY, 'welcome');
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['before', 'under way', 'welcome']);
    expect((await rig.inbox(rig.phone)).map((message) => message.group)).toEqual(['all', 'all', 'all']);
    expect(await rig.payloads(tablet)).toEqual(['welcome']);
    expect(readableBy(rig, tablet, rig.laptop, EVERYBODY)).toEqual(['welcome']);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(2);
  });

  it('does not read for a newcomer what has to be sent again and was never for it', async () => {
    const rig = await Rig.met({ devices: 3, strangers: 1 });
    const [tablet] = rig.strangers;
    if (tablet === undefined) throw new Error('a rig without strangers');
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    await rig.send(rig.laptop, EVERYBODY, 'lost on its way to the phone');
    await rig.pass(5 * SECOND);
    await rig.add(rig.laptop, tablet);
    await rig.send(rig.laptop, EVERYBODY, 'welcome');
    await rig.pass(5 * SECOND);
    // What it has encrypted is forgotten with this.
    await rig.restart(rig.laptop);
    rig.post.reunite();
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['lost on its way to the phone', 'welcome']);
    // Encrypted again, in the session whose key it has.
    expect(readableBy(rig, tablet, rig.laptop, EVERYBODY)).toEqual(['welcome', 'welcome']);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(2);
  });

  it('goes along again with what is sent again, so that nobody has to ask for it', async () => {
    const rig = await Rig.met({ devices: 3 });
    let lost = 0;
    rig.post.fate = ({ to, bytes }) => {
      const [envelope] = [rig.envelope({ bytes })];
      const isFirst =
        to === rig.phone.id && 'attached' in envelope && envelope.attached.length > 0 && lost === 0;
      if (isFirst) lost++;
      return isFirst ? 'drop' : 'deliver';
    };
    const since = rig.post.log.length;
    await rig.send(rig.laptop, EVERYBODY, 'one');
    await rig.pass(MINUTE);
    expect(lost).toBe(1);
    expect(await rig.payloads(rig.phone)).toEqual(['one']);
    const asked = rig.sent(rig.phone, rig.laptop, since).flatMap((packet) => rig.items(packet));
    expect(asked.filter(({ kind }) => kind === 'group-wanted')).toEqual([]);
  });

  it('is given again from where it is needed, whatever was acknowledged of what came later in its session', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.stop(rig.phone);
    // As many envelopes as may be out to it: what follows goes to the Pi alone for now.
    for (let i = 0; i < 100; i++) await rig.send(rig.laptop, EVERYBODY, `message ${i}`);
    await rig.pass(5 * SECOND);
    const payload = new Uint8Array(64 * 1024).fill(0x61);
    const first = await rig.send(rig.laptop, EVERYBODY, { payload });
    await rig.pass(5 * SECOND);
    await rig.laptop.messenger.groups.rotate(EVERYBODY);
    const second = await rig.send(rig.laptop, EVERYBODY, { payload: payload.slice().fill(0x62) });
    await rig.pass(5 * SECOND);
    // The phone gets the first under the new key's index 1, and loses the second, which stands under index 0.
    let large = 0;
    rig.post.fate = ({ to, from, bytes }) => {
      if (to !== rig.phone.id || from !== rig.laptop.id || bytes.length < 50_000) return 'deliver';
      large++;
      return large === 2 ? 'drop' : 'deliver';
    };
    await rig.start(rig.phone);
    await rig.pass(5 * MINUTE);
    expect(large).toBeGreaterThan(2);
    for (const sent of [first, second]) {
      expect(await rig.states(rig.laptop, sent)).toEqual(['delivered', 'delivered']);
    }
  });

  it('is shown with who was given it and who has it', async () => {
    const rig = await Rig.met({ devices: 3 });
    const coverage = () => rig.laptop.messenger.groups.coverage(EVERYBODY);
    expect(coverage().get(rig.phone.id)).toEqual({ ours: 'none', theirs: false });
    rig.post.keepApart(rig.laptop.id, rig.pi.id);
    await rig.send(rig.laptop, EVERYBODY, 'one');
    await rig.pass(5 * SECOND);
    await rig.send(rig.phone, EVERYBODY, 'two');
    await rig.pass(5 * SECOND);
    expect(coverage().get(rig.phone.id)).toEqual({ ours: 'held', theirs: true });
    expect(coverage().get(rig.pi.id)).toEqual({ ours: 'given', theirs: false });
    expect([...coverage().keys()].sort()).toEqual([rig.phone.id, rig.pi.id].sort());
  });

  it('is given up by a device that was put back to an older state', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, EVERYBODY, 'one');
    await rig.pass(5 * SECOND);
    const image = rig.laptop.disk.image();
    await rig.send(rig.laptop, EVERYBODY, 'two');
    await rig.pass(5 * SECOND);
    rig.crash(rig.laptop);
    rig.laptop.disk.restore(image);
    await rig.start(rig.laptop);
    await rig.send(rig.laptop, EVERYBODY, 'three');
    await rig.pass(5 * MINUTE);
    for (const device of [rig.phone, rig.pi]) {
      expect(await rig.payloads(device)).toEqual(['one', 'two', 'three']);
      expect(device.count('group-message-replayed')).toBe(0);
    }
    expect(rig.laptop.engine.counts.createGroupSession).toBe(2);
  });
});

describe('keys that were replaced', () => {
  const kept = (device: RigDevice): number => device.keystore.keys('group-key').length;

  it('are kept for the last sixteen, and for seven days', async () => {
    const rig = await Rig.met({ devices: 2 });
    for (let i = 0; i < 20; i++) {
      await rig.send(rig.laptop, EVERYBODY, `under key ${i}`);
      await rig.pass(2 * SECOND);
      await rig.laptop.messenger.groups.rotate(EVERYBODY);
    }
    expect(await rig.payloads(rig.phone)).toHaveLength(20);
    expect(kept(rig.phone)).toBe(17);
    await rig.pass(7 * DAY - MINUTE);
    expect(kept(rig.phone)).toBe(17);
    await rig.pass(5 * MINUTE);
    expect(kept(rig.phone)).toBe(1);
  });

  it('go with the device that they came from', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.pi, EVERYBODY, 'one');
    await rig.pass(5 * SECOND);
    expect(kept(rig.phone)).toBe(1);
    await rig.revoke(rig.laptop, rig.pi);
    await rig.pass(5 * SECOND);
    expect(kept(rig.phone)).toBe(0);
  });
});

describe('a device that comes back into a circle', () => {
  it('reads nothing that was sent while its additions had lost their force', async () => {
    const rig = await Rig.met({ devices: 4, strangers: 1 });
    const [, , , revoker] = rig.devices;
    const [tablet] = rig.strangers;
    if (revoker === undefined || tablet === undefined) throw new Error('five devices');
    rig.post.disconnect(revoker.id);
    await rig.add(rig.pi, tablet);
    await rig.pass(10 * SECOND);
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    rig.post.keepApart(rig.laptop.id, tablet.id);
    await rig.send(rig.laptop, EVERYBODY, 'owed to the tablet');
    await rig.pass(5 * SECOND);
    await rig.revoke(revoker, rig.pi);
    rig.post.connect(revoker.id, true);
    await rig.pass(MINUTE);
    const status = () => rig.laptop.messenger.log.membership().roster.devices.get(tablet.id)?.status;
    expect(status()).toBe('void');
    rig.post.reunite();
    rig.post.keepApart(rig.laptop.id, tablet.id);
    await rig.pass(5 * MINUTE);
    const behind = await rig.send(rig.laptop, EVERYBODY, 'behind its back');
    expect(behind.to.map(({ deviceId }) => deviceId)).not.toContain(tablet.id);
    await rig.pass(10 * SECOND);
    await rig.add(rig.laptop, tablet);
    expect(status()).toBe('member');
    rig.post.reunite();
    await rig.pass(10 * MINUTE);
    expect(await rig.payloads(tablet)).toEqual(['owed to the tablet']);
    expect(await rig.payloads(rig.phone)).toEqual(['owed to the tablet', 'behind its back']);
    expect(new Set(readableBy(rig, tablet, rig.laptop, EVERYBODY))).toEqual(new Set(['owed to the tablet']));
  });

  it('does not read what was withdrawn from it, though others are sent it again', async () => {
    const rig = await Rig.met({ devices: 3 });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone, rig.pi);
    await rig.pass(5 * SECOND);
    rig.post.disconnect(rig.laptop.id);
    await rig.send(rig.laptop, kitchen, 'withdrawn');
    takeOut(rig.laptop, kitchen, rig.pi);
    addTo(rig.laptop, kitchen, rig.pi);
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    rig.post.connect(rig.laptop.id, true);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, kitchen, 'welcome back');
    await rig.pass(5 * SECOND);
    await rig.restart(rig.laptop);
    rig.post.reunite();
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['withdrawn', 'welcome back']);
    expect(readableBy(rig, rig.pi, rig.laptop, kitchen)).not.toContain('withdrawn');
  });
});

describe('a named group', () => {
  it('gets what is sent to it, from a member or not, and nobody else does', async () => {
    const rig = await Rig.met({ devices: 4 });
    const [, , , other] = rig.devices;
    if (other === undefined) throw new Error('four devices');
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, kitchen, 'from a member');
    await rig.send(rig.pi, kitchen, 'from outside');
    await rig.pass(5 * SECOND);
    expect((await rig.payloads(rig.phone)).sort()).toEqual(['from a member', 'from outside']);
    expect(await rig.payloads(rig.laptop)).toEqual(['from outside']);
    expect(await rig.payloads(rig.pi)).toEqual([]);
    expect(await rig.payloads(other)).toEqual([]);
    expect((await rig.inbox(rig.phone)).map((message) => message.group)).toEqual([kitchen, kitchen]);
    expect(readableBy(rig, other, rig.laptop, kitchen)).toEqual([]);
  });

  it('is sent to beside everybody by the same device, in one order', async () => {
    const rig = await Rig.met({ devices: 3 });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone);
    const circles: readonly Circle[] = [EVERYBODY, kitchen, EVERYBODY];
    for (const circle of circles) await rig.send(rig.laptop, circle, circle);
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(circles);
    expect(await rig.payloads(rig.pi)).toEqual([EVERYBODY, EVERYBODY]);
  });

  it('is unknown where it was never made or is deleted', async () => {
    const rig = await Rig.met({ devices: 2 });
    const never = '9'.repeat(64) as GroupId;
    const payload = new Uint8Array(1);
    expect(await rig.laptop.messenger.send({ to: never, payload })).toEqual({ refused: 'unknown-group' });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone);
    rig.laptop.messenger.log.write({ kind: 'group-delete', group: kitchen });
    expect(await rig.laptop.messenger.send({ to: kitchen, payload })).toEqual({ refused: 'unknown-group' });
  });

  it('changes its key when a device is taken out, which is sent nothing that still waited', async () => {
    const rig = await Rig.met({ devices: 4 });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone, rig.pi);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, kitchen, 'before');
    await rig.pass(5 * SECOND);
    rig.post.disconnect(rig.laptop.id);
    const waiting = await rig.send(rig.laptop, kitchen, 'waits');
    const position = rig.laptop.position;
    takeOut(rig.laptop, kitchen, rig.pi);
    await rig.settle();
    expect(rig.laptop.position - position).toBe(1);
    expect(await rig.laptop.keystore.read('group-sending', kitchen)).toBeUndefined();
    const delivery = await rig.laptop.messenger.delivery(waiting.id);
    const atPi = delivery?.to.find(({ deviceId }) => deviceId === rig.pi.id);
    expect(atPi).toMatchObject({ state: 'failed', reason: 'not-in-group', mayHaveArrived: false });
    rig.post.connect(rig.laptop.id, true);
    await rig.send(rig.laptop, kitchen, 'after');
    await rig.pass(30 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['before', 'waits', 'after']);
    expect(await rig.payloads(rig.pi)).toEqual(['before']);
    expect(readableBy(rig, rig.pi, rig.laptop, kitchen)).toEqual(['before']);
    expect(await rig.states(rig.laptop, waiting)).toEqual(
      delivery?.to.map(({ deviceId }) => (deviceId === rig.pi.id ? 'failed' : 'delivered')),
    );
  });

  it('has a device again that was taken out and added, for what comes then', async () => {
    const rig = await Rig.met({ devices: 3 });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.phone, rig.pi);
    await rig.pass(5 * SECOND);
    takeOut(rig.laptop, kitchen, rig.pi);
    await rig.send(rig.laptop, kitchen, 'without');
    await rig.pass(5 * SECOND);
    addTo(rig.phone, kitchen, rig.pi);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, kitchen, 'with');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.pi)).toEqual(['with']);
    expect(readableBy(rig, rig.pi, rig.laptop, kitchen)).toEqual(['with']);
  });
});

describe('a device that lacks a key', () => {
  /** The phone has the key, and forgets it. */
  async function forgotten(circle: (rig: Rig) => Circle = () => EVERYBODY) {
    const rig = await Rig.met({ devices: 3 });
    const chosen = circle(rig);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, chosen, 'one');
    await rig.pass(5 * SECOND);
    await rig.stop(rig.phone);
    await rig.phone.withStore(async (keystore) => {
      const keys = keystore.keys('group-key');
      expect(keys).toHaveLength(1);
      await keystore.commit(keys.map((key) => ({ kind: 'group-key' as const, key, remove: true as const })));
    });
    await rig.start(rig.phone);
    await rig.pass(5 * SECOND);
    return { rig, circle: chosen };
  }

  const wanted = (rig: Rig, since: number) =>
    rig
      .sent(rig.phone, rig.laptop, since)
      .flatMap((packet) => rig.items(packet))
      .filter((item) => item.kind === 'group-wanted');

  it('asks its owner for it and is given it, from where it was given before', async () => {
    const { rig } = await forgotten();
    const since = rig.post.log.length;
    await rig.send(rig.laptop, EVERYBODY, 'two');
    await rig.send(rig.laptop, EVERYBODY, 'three');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'two', 'three']);
    expect(wanted(rig, since)).toHaveLength(1);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(1);
    expect(rig.laptop.engine.counts.encryptForGroup).toBe(3);
  });

  it('asks once in thirty seconds, however much arrives', async () => {
    const { rig } = await forgotten();
    const since = rig.post.log.length;
    rig.post.fate = ({ from, to }) => (from === rig.phone.id && to === rig.laptop.id ? 'drop' : 'deliver');
    for (let i = 0; i < 6; i++) {
      await rig.send(rig.laptop, EVERYBODY, `more ${i}`);
      await rig.pass(4 * SECOND);
    }
    expect(wanted(rig, since)).toHaveLength(1);
    rig.post.fate = () => 'deliver';
    await rig.pass(5 * MINUTE);
    expect((await rig.payloads(rig.phone)).slice(1)).toEqual([0, 1, 2, 3, 4, 5].map((i) => `more ${i}`));
    const times = rig
      .sent(rig.phone, rig.laptop, since)
      .filter((packet) => rig.items(packet).some(({ kind }) => kind === 'group-wanted'))
      .map(({ at }) => at);
    expect(times.length).toBeGreaterThan(1);
    times.forEach((at, i) => {
      expect(at - (times[i - 1] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(30 * SECOND);
    });
  });

  it('is told that the session is over where it is, and gets the message in the next one', async () => {
    const { rig } = await forgotten();
    const late: Packet[] = [];
    rig.post.fate = (packet) => {
      if (packet.from !== rig.phone.id || packet.to !== rig.laptop.id) return 'deliver';
      late.push(packet);
      return 'drop';
    };
    await rig.send(rig.laptop, EVERYBODY, 'two');
    await rig.pass(SECOND);
    await rig.laptop.messenger.groups.rotate(EVERYBODY);
    rig.post.fate = () => 'deliver';
    for (const packet of late) rig.post.enqueue(packet);
    await rig.pass(2 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['one', 'two']);
    expect(rig.laptop.engine.counts.createGroupSession).toBe(2);
    expect(rig.phone.count('group-key-unknown-session')).toBeGreaterThan(0);
  });

  it('is told that it is not in the group, where it was taken out', async () => {
    const { rig, circle } = await forgotten((made) =>
      group(made.laptop, 'kitchen', made.laptop, made.phone, made.pi),
    );
    const id = rig.laptop.messenger.groups.coverage(circle).get(rig.phone.id);
    expect(id).toMatchObject({ ours: 'held' });
    // It heard of a session that has begun since.
    takeOut(rig.laptop, circle as GroupId, rig.phone);
    await rig.send(rig.laptop, circle, 'two');
    await rig.pass(5 * SECOND);
    const session = (await rig.laptop.keystore.read('group-sending', circle))?.id ?? '';
    const given = rig.phone.engine.groupKeys.length;
    rig.phone.engine.instead = withItems((items) => [...items, [8, [Buffer.from(session, 'hex')]]]);
    await rig.send(rig.phone, rig.laptop, 'and by the way');
    await rig.pass(5 * SECOND);
    expect(rig.phone.count('group-key-not-in-group')).toBeGreaterThan(0);
    expect(rig.phone.engine.groupKeys.length).toBe(given);
    expect(await rig.payloads(rig.pi)).toEqual(['one', 'two']);
  });

  it('is told nothing about a session from before it came', async () => {
    const rig = await Rig.met({ devices: 3 });
    const kitchen = group(rig.laptop, 'kitchen', rig.laptop, rig.pi);
    await rig.pass(5 * SECOND);
    await rig.send(rig.laptop, kitchen, 'not for the phone');
    await rig.pass(5 * SECOND);
    const session = (await rig.laptop.keystore.read('group-sending', kitchen))?.id ?? '';
    addTo(rig.laptop, kitchen, rig.phone);
    await rig.pass(5 * SECOND);
    rig.phone.engine.instead = withItems((items) => [...items, [8, [Buffer.from(session, 'hex')]]]);
    await rig.send(rig.phone, rig.laptop, 'what is that?');
    await rig.pass(5 * SECOND);
    expect(rig.phone.engine.groupKeys).toEqual([]);
    expect(rig.phone.count('group-key-unknown-session')).toBeGreaterThan(0);
  });
});

describe('a member that asks for more keys than an answer can hold', () => {
  it('is answered as far as that goes, and everything else goes on', async () => {
    const rig = await Rig.met({ devices: 2 });
    const sessions = (): Uint8Array[] => Array.from({ length: 50 }, () => rig.seeded.bytes(32));
    rig.phone.engine.instead = withItems((items) => [...items, [8, sessions()], [8, sessions()]]);
    await rig.send(rig.phone, rig.laptop, 'tell me all');
    await rig.pass(5 * SECOND);
    expect(rig.phone.count('group-key-unknown-session')).toBeGreaterThanOrEqual(64);
    expect(rig.phone.count('item-malformed')).toBe(0);
    await rig.send(rig.laptop, EVERYBODY, 'no');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['no']);
  });
});

describe('a member that lies about groups', () => {
  /** Changes the batches that a device sends. */
  const changingRecords = (change: (records: readonly Value[]) => readonly Value[]) =>
    withItems((items) =>
      items.map((item) => {
        if (!Array.isArray(item) || item[0] !== 1) return item;
        return [...item.slice(0, -1), change(item.at(-1) as readonly Value[])];
      }),
    );

  it('cannot have a message read twice, not even across a restart of its reader', async () => {
    const rig = await Rig.met({ devices: 2 });
    await rig.send(rig.laptop, EVERYBODY, 'with the key');
    await rig.pass(5 * SECOND);
    const since = rig.post.log.length;
    let kept: readonly Value[] | undefined;
    rig.laptop.engine.instead = changingRecords((records) => {
      kept ??= records[0] as readonly Value[];
      return records;
    });
    await rig.send(rig.laptop, EVERYBODY, 'once');
    await rig.pass(5 * SECOND);
    const [first] = [...ciphertexts(rig, since).values()];
    await rig.restart(rig.phone);
    await rig.pass(5 * SECOND);
    // The second message says that it is in the first one's ciphertext, which is put beside it.
    const [kind, , session, digest] = kept ?? [];
    rig.laptop.engine.instead = changingRecords(([record]) => [
      [kind ?? 0, (record as readonly Value[])[1] ?? 0, session ?? 0, digest ?? 0],
    ]);
    const bytes = first?.bytes ?? new Uint8Array(0);
    rig.laptop.engine.insteadForGroup = () => bytes;
    const receipt = await rig.send(rig.laptop, EVERYBODY, 'twice');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['with the key', 'once']);
    expect(rig.phone.count('group-message-replayed')).toBe(1);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['failed']);
  });

  it('cannot send one message under the id of another', async () => {
    const rig = await Rig.met({ devices: 2 });
    rig.laptop.engine.instead = changingRecords((records) =>
      records.map((record) => {
        const [kind = 0, , ...rest] = record as readonly Value[];
        return [kind, new Uint8Array(16), ...rest];
      }),
    );
    const receipt = await rig.send(rig.laptop, EVERYBODY, 'under a false name');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual([]);
    expect(rig.phone.count('group-id-mismatch')).toBe(1);
    expect(await rig.states(rig.laptop, receipt)).toEqual(['failed']);
  });

  it('cannot give a key for the session of another, not even before that one does', async () => {
    const rig = await Rig.met({ devices: 3 });
    rig.post.keepApart(rig.laptop.id, rig.phone.id);
    await rig.send(rig.laptop, EVERYBODY, 'one');
    await rig.pass(5 * SECOND);
    const [real] = rig.pi.engine.groupKeys;
    const session = (await rig.laptop.keystore.read('group-sending', EVERYBODY))?.id ?? '';
    if (real === undefined) throw new Error('the Pi has no key');
    // The right session and index, with another ratchet.
    const wrong = real.map((byte, i) => (i >= 5 && i < 133 ? byte ^ 1 : byte));
    rig.pi.engine.instead = withItems((items) => [
      [7, [['all', Buffer.from(session, 'hex'), wrong]]],
      ...items,
    ]);
    await rig.send(rig.pi, rig.phone, 'a present');
    await rig.pass(5 * SECOND);
    rig.post.reunite();
    await rig.send(rig.laptop, EVERYBODY, 'two');
    await rig.pass(5 * MINUTE);
    expect(await rig.payloads(rig.phone)).toEqual(['a present', 'one', 'two']);
  });

  it('cannot pass off what another has written as its own', async () => {
    const rig = await Rig.met({ devices: 3 });
    await rig.send(rig.laptop, EVERYBODY, 'by the laptop');
    await rig.pass(5 * SECOND);
    const [real] = rig.pi.engine.groupKeys;
    const [written] = [...ciphertexts(rig).values()];
    const session = (await rig.laptop.keystore.read('group-sending', EVERYBODY))?.id ?? '';
    if (real === undefined || written === undefined) throw new Error('nothing to pass off');
    const digest = nodePrimitives.hash(written.bytes);
    rig.pi.engine.insteadForGroup = () => written.bytes;
    rig.pi.engine.instead = withItems((items) => [
      [7, [['all', Buffer.from(session, 'hex'), real]]],
      ...items.map((item) => {
        if (!Array.isArray(item) || item[0] !== 1) return item;
        const [record] = item.at(-1) as readonly (readonly Value[])[];
        return [...item.slice(0, -1), [[2, record?.[1] ?? 0, Buffer.from(session, 'hex'), digest]]];
      }),
    ]);
    await rig.send(rig.pi, EVERYBODY, 'by the Pi');
    await rig.pass(5 * SECOND);
    expect(await rig.payloads(rig.phone)).toEqual(['by the laptop']);
    expect(rig.phone.count('group-context-mismatch')).toBe(1);
  });
});
