/**
 * Devices in Mallory's hands. She takes one with its disk, and its program goes on with its keys and its sessions:
 * it denies every revocation of its own, adds accomplices, revokes people's devices, writes its chain twice over,
 * serves each member another branch, says again what was said long ago, and tells members that they are removed. It
 * asks for keys of groups that are none of its business, and offers false ones in the names of others' sessions.
 *
 * Longer than most: one list of everything that she can do with a device, over one set of devices.
 */
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { toHex } from '../../src/entities/bytes.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { ENVELOPE_LABEL, envelopeDigest, pairContext } from '../../src/entities/pair-keys.ts';
import { EVERYBODY } from '../../src/entities/roster/circle.ts';
import { lastEntry } from '../../src/entities/roster/compose.ts';
import {
  type Body,
  type Content,
  type Entry,
  type EntryHash,
  hashContent,
  isKind,
} from '../../src/entities/roster/entry.ts';
import { decodeEntry, encodeContent, encodeEntry } from '../../src/entities/roster/entry-codec.ts';
import type { Membership } from '../../src/entities/roster/membership.ts';
import { entrySignable } from '../../src/entities/roster/signing.ts';
import { encodeEnvelope, MAX_NOTICE_ENTRIES } from '../../src/entities/wire/envelope.ts';
import type { GroupKey } from '../../src/entities/wire/group-items.ts';
import type { Item } from '../../src/entities/wire/items.ts';
import {
  decodeCore,
  decodeParcel,
  encodeCore,
  encodeParcel,
  LARGEST_INSIDE,
} from '../../src/entities/wire/parcel.ts';
import { additionBody } from '../support/found-mesh.ts';
import type { BegunSession } from './eavesdropper.ts';
import type { SimDevice } from './sim-device.ts';
import type { Stage } from './stage.ts';

const { hash } = nodePrimitives;
const MOST_ACCOMPLICES = 3;
/** Of people's devices: there is to be a mesh to look at. */
const MOST_EVICTED = 2;
/** In an exported key, behind version and index. */
const RATCHET_AT = 5;
const RATCHET_BYTES = 128;
/** More in one parcel would make it one that nobody reads. */
const MOST_SLIPS = 5;
const SALT_AT = { from: 2, to: 18 };

/** What a device slips into the next thing that it says to another. */
type Slips = Map<DeviceId, Item[]>;

export function createTraitors(stage: Stage) {
  const { seeded, devices, stolen, records, mallory, clock } = stage;
  const slips = new Map<SimDevice, Slips>();
  const evicted = new Set<DeviceId>();
  let accomplices = 0;
  let serial = 0;

  const isBad = (id: DeviceId): boolean => stolen.some((device) => device.party.id === id);

  /** Its program believes nothing that removes one of Mallory's. */
  function denies(digest: Uint8Array): boolean {
    const entry = records.entries.get(toHex(digest) as EntryHash);
    return entry !== undefined && isKind(entry, 'revoke') && isBad(entry.body.target);
  }

  function takeOver(device: SimDevice): void {
    const own: Slips = new Map();
    device.stolen = true;
    slips.set(device, own);
    stolen.push(device);
    device.engine.tampering = { denies, instead: (plaintext) => slipIn(device, own, plaintext) };
  }

  function slipIn(device: SimDevice, own: Slips, plaintext: Uint8Array): Uint8Array {
    const mesh = device.membership?.mesh;
    const core = decodeCore(plaintext);
    if (mesh === undefined || 'refused' in core || !('inside' in core.ok)) return plaintext;
    const parcel = decodeParcel(core.ok.inside);
    if ('refused' in parcel) return plaintext;
    for (const other of devices) {
      const items = own.get(other.party.id);
      const context = pairContext(hash, mesh, device.party, other.party);
      if (items === undefined || toHex(context) !== toHex(parcel.ok.context)) continue;
      own.delete(other.party.id);
      const inside = encodeParcel({ ...parcel.ok, items: [...parcel.ok.items, ...items] });
      if (inside.length > LARGEST_INSIDE) return plaintext;
      return encodeCore(plaintext.slice(SALT_AT.from, SALT_AT.to), { inside });
    }
    return plaintext;
  }

  /** What `device` says to `to` the next time has this in it. */
  function prepare(device: SimDevice, to: SimDevice, item: Item): void {
    const own = slips.get(device);
    if (own === undefined) throw new Error('not in her hands');
    own.set(to.party.id, [...(own.get(to.party.id) ?? []), item].slice(-MOST_SLIPS));
  }

  function slipItem(device: SimDevice, to: SimDevice, item: Item): void {
    prepare(device, to, item);
    chat(device, to.party.id);
  }

  function slip(device: SimDevice, to: SimDevice, entries: readonly Entry[]): void {
    slipItem(device, to, { kind: 'entries', entries: entries.map(({ bytes }) => bytes) });
  }

  function chat(device: SimDevice, to: DeviceId): void {
    const payload = new TextEncoder().encode('what a traitor says');
    device.messenger?.send({ to: [to], payload }).then(
      () => undefined,
      () => undefined,
    );
  }

  /** The next entry after one of its chain, whether or not it has written another there before. */
  function forge(device: SimDevice, { mesh }: Membership, previous: Entry | undefined, body: Body): Entry {
    const content: Content = {
      mesh,
      author: { kind: 'device', id: device.party.id },
      sequence: (previous?.sequence ?? 0) + 1,
      previous: previous?.hash ?? null,
      heads: [],
      body,
      createdAt: Math.floor(clock.now()),
    };
    const bytes = encodeContent(content);
    const signature = device.founder.account.sign(entrySignable(hashContent(hash, bytes)));
    const entry = decodeEntry(hash, encodeEntry(bytes, signature));
    if ('refused' in entry) throw new Error(`a forged entry is refused as ${entry.refused}`);
    return note(entry.ok);
  }

  function note(entry: Entry): Entry {
    records.entries.set(entry.hash, entry);
    if (isKind(entry, 'add')) records.additions.push({ entry, device: entry.body.device });
    return entry;
  }

  function write(device: SimDevice, body: Body): Entry | undefined {
    const entry = device.messenger?.log.write(body);
    return entry === undefined ? undefined : note(entry);
  }

  function victim(): DeviceId | undefined {
    const all = devices.filter((device) => device.isMember).map((device) => device.party.id);
    const again = [...evicted].filter((id) => all.includes(id));
    const one = evicted.size >= MOST_EVICTED ? again : all;
    const id = one.length > 0 && all.length > 2 ? seeded.pick(one) : undefined;
    if (id !== undefined) evicted.add(id);
    return id;
  }

  const cutOf = (membership: Membership, target: DeviceId): EntryHash | null => {
    const last = lastEntry(membership, target);
    // Back to where what it added since then loses its force.
    return seeded.chance(0.8) ? (last?.hash ?? null) : (last?.previous ?? null);
  };

  function eviction(membership: Membership): Body | undefined {
    const target = victim();
    return target === undefined
      ? undefined
      : { kind: 'revoke', target, cut: cutOf(membership, target), reason: 'lost' };
  }

  function bodyFor(device: SimDevice, membership: Membership): Body {
    const ours = stolen.filter((other) => other !== device);
    const naming = { kind: 'rename', target: device.party.id, name: undefined, replaces: [] } as const;
    switch (seeded.weighted({ evict: 2, name: 4, vouch: ours.length > 0 ? 3 : 0, lie: 2, leave: 0.3 })) {
      case 'evict':
        return eviction(membership) ?? naming;
      case 'vouch':
        return additionBody(membership, device.founder, seeded.pick(ours).founder, seeded.bytes(32));
      case 'lie': {
        const applied = seeded.pick([...membership.log.keys()]);
        const hidden = forge(device, membership, lastEntry(membership, device.party.id), naming);
        return { kind: 'confirm', applied: [applied], heads: [hidden.hash] };
      }
      case 'leave':
        return { kind: 'leave' };
      default:
        return naming;
    }
  }

  /** Where it goes on from; mostly above what it did for people, so that not everything is undone at once. */
  function forkPoint({ log }: Membership, author: DeviceId): Entry | undefined {
    const chain = [...log.values()].filter((entry) => entry.author.id === author);
    const kept = chain.findLastIndex((entry) => isKind(entry, 'add') && records.asked.has(entry.body.device));
    const from = seeded.chance(0.85) ? Math.max(0, kept) : 0;
    const places = chain.slice(from, -1);
    return places.length > 0 ? seeded.pick(places) : chain.at(-1);
  }

  function fork(device: SimDevice): void {
    const { membership } = device;
    const point = membership === undefined ? undefined : forkPoint(membership, device.party.id);
    if (membership === undefined || point === undefined) return;
    for (const to of devices.filter(() => seeded.chance(0.5))) {
      const first = forge(device, membership, point, bodyFor(device, membership));
      const chain = [first];
      if (seeded.chance(0.4)) chain.push(forge(device, membership, first, bodyFor(device, membership)));
      slip(device, to, chain);
    }
  }

  /** An ADD of a device that has consented to nothing. */
  function press(device: SimDevice, to: SimDevice): void {
    const { membership } = device;
    if (membership === undefined) return;
    const other = seeded.pick([...stolen, ...stage.spares, ...devices]);
    if (other === device) return;
    const body = additionBody(membership, device.founder, other.founder, seeded.bytes(32));
    const consented = seeded.chance(0.5) ? { consent: seeded.bytes(64) } : { transcript: seeded.bytes(32) };
    const last = lastEntry(membership, device.party.id);
    const entry = forge(device, membership, last, { ...body, ...consented } as Body);
    records.pressed.add(entry.hash);
    slip(device, to, [entry]);
  }

  /** A fresh device of hers, added by one that she has. */
  async function addAccomplice(device: SimDevice): Promise<void> {
    const { membership } = device;
    if (membership === undefined || accomplices >= MOST_ACCOMPLICES) return;
    const accomplice = await stage.make(`accomplice ${accomplices++}`);
    const body = additionBody(membership, device.founder, accomplice.founder, seeded.bytes(32));
    if (write(device, body) === undefined || device.membership === undefined) return;
    await accomplice.enter(device.membership);
    takeOver(accomplice);
    await accomplice.start();
    stage.say('accomplice', accomplice.name);
  }

  /** Tells a device that it is removed, or something else, in the open. */
  function serveNotice(device: SimDevice, to: SimDevice): void {
    const { membership } = device;
    if (membership === undefined) return;
    const last = lastEntry(membership, device.party.id);
    const body = seeded.chance(0.3) ? eviction(membership) : undefined;
    const said = body === undefined ? old(1 + seeded.below(3)) : [forge(device, membership, last, body)];
    if (said.length === 0) return;
    const entries = said.slice(0, MAX_NOTICE_ENTRIES).map(({ bytes }) => bytes);
    serial = Math.max(serial + 1, Math.floor(clock.now()));
    const context = pairContext(hash, membership.mesh, device.party, to.party);
    const bytes = encodeEnvelope({ kind: 'notice', from: device.party.id, serial, entries }, (covered) =>
      device.founder.account.sign({ label: ENVELOPE_LABEL, digest: envelopeDigest(hash, context, covered) }),
    );
    mallory.enqueue({ from: device.party.id, to: to.party.id, bytes });
  }

  function old(count: number): Entry[] {
    const all = [...records.entries.values()];
    return all.length === 0 ? [] : Array.from({ length: count }, () => seeded.pick(all));
  }

  /** Something that it sent before, once more, to whom it was for. */
  function sayAgain(device: SimDevice): void {
    const sent = mallory.log.filter((packet) => packet.from === device.party.id);
    if (sent.length > 0) mallory.enqueue(seeded.pick(sent));
  }

  /** Of devices that are not hers, the newest ones: their ids, in whatever way she has learnt of them. */
  function sessionsOfOthers(count: number): readonly BegunSession[] {
    return records.groupSessions.filter(({ owner }) => !owner.stolen).slice(-count);
  }

  /** A key with the right name and nothing right inside. */
  function falseKey(device: SimDevice, { id, key }: BegunSession): GroupKey {
    const groups = device.membership?.roster.groups ?? [];
    const fake = key.slice();
    for (let i = seeded.below(8); i >= 0; i--) {
      const at = RATCHET_AT + seeded.below(RATCHET_BYTES);
      fake[at] = (fake[at] ?? 0) ^ (1 + seeded.below(255));
    }
    return { circle: seeded.pick([EVERYBODY, ...groups.map((group) => group.id)]), session: id, key: fake };
  }

  /** To everybody but their owners. */
  function offerFalseKeys(device: SimDevice): void {
    const sessions = sessionsOfOthers(6);
    for (const to of devices) {
      const keys = sessions.filter(({ owner }) => owner !== to).map((session) => falseKey(device, session));
      if (keys.length > 0) slipItem(device, to, { kind: 'group-keys', keys });
    }
  }

  /** Asks the owners for whatever there is, whether or not it was ever meant for this device. */
  function askForKeys(device: SimDevice): void {
    for (const to of devices.filter(() => seeded.chance(0.6))) {
      const own = sessionsOfOthers(60).filter(({ owner }) => owner === to);
      const sessions = own.slice(-8).map(({ id }) => id);
      if (sessions.length > 0) slipItem(device, to, { kind: 'group-wanted', sessions });
    }
  }

  /** Back to what it was when she took it, or before: its old sessions, and what it knew then. */
  async function rewind(device: SimDevice): Promise<void> {
    if (device.images.length === 0) return;
    const { image } = seeded.pick(device.images);
    stage.crash(device);
    device.disk.restore(image);
    await device.start();
  }

  return {
    /** She has learnt of it before anybody was given the key, and may be the first to offer one. */
    hearOf(session: BegunSession): void {
      if (session.owner.stolen) return;
      for (const device of stolen) {
        for (const to of devices) {
          if (to === session.owner || seeded.chance(0.6)) continue;
          prepare(device, to, { kind: 'group-keys', keys: [falseKey(device, session)] });
        }
      }
    },

    /** She takes a device, as it is or as a backup of it was. */
    async steal(): Promise<SimDevice | undefined> {
      const members = devices.filter((device) => device.isMember && device.running);
      if (members.length < 4) return undefined;
      const device = seeded.pick(members);
      stage.crash(device);
      devices.splice(devices.indexOf(device), 1);
      takeOver(device);
      device.images.push({ image: device.disk.image(), step: 0 });
      if (seeded.chance(0.3)) device.disk.restore(seeded.pick(device.images).image);
      stage.say('stolen', device.name);
      await device.start();
      return device;
    },

    async act(): Promise<void> {
      const device = seeded.pick(stolen);
      if (!device.running) return device.start();
      const to = seeded.pick(devices);
      const deed = seeded.weighted({
        chat: 20,
        write: 7,
        fork: 6,
        accomplice: 3,
        press: 5,
        slipOld: 6,
        notice: 6,
        again: 12,
        rewind: 2,
        falseKeys: 14,
        askForKeys: 20,
      });
      stage.say('traitor', device.name, deed);
      const { membership } = device;
      switch (deed) {
        case 'chat':
          return chat(device, to.party.id);
        case 'write':
          if (membership !== undefined) write(device, bodyFor(device, membership));
          return;
        case 'fork':
          return fork(device);
        case 'accomplice':
          return addAccomplice(device);
        case 'press':
          return press(device, to);
        case 'slipOld':
          return slip(device, to, old(1 + seeded.below(3)));
        case 'notice':
          return serveNotice(device, to);
        case 'again':
          return sayAgain(device);
        case 'rewind':
          return rewind(device);
        case 'falseKeys':
          return offerFalseKeys(device);
        case 'askForKeys':
          return askForKeys(device);
      }
    },
  };
}

export type Traitors = ReturnType<typeof createTraitors>;
