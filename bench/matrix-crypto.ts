/**
 * Two of Matrix's OlmMachines that know each other, and the little of a homeserver that this takes: what one uploads is
 * what the other is told when it asks. Under Node they have no store but memory, so nothing is kept.
 *
 * They hide messages in two ways. To a room: Megolm, the room's key shared before anything is measured, anew for each round,
 * so that no rotation falls into it. To one device: an Olm session that both have used, so no prekey messages.
 */
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { toBase64 } from '../src/entities/bytes.ts';
import type { Pass } from './peers.ts';

/** What is used of the package, in our words. */
export interface MatrixCrypto {
  initAsync(): Promise<void>;
  readonly OlmMachine: { initialize(user: UserId, device: DeviceId): Promise<OlmMachine> };
  readonly UserId: new (id: string) => UserId;
  readonly DeviceId: new (id: string) => DeviceId;
  readonly RoomId: new (id: string) => RoomId;
  readonly DeviceLists: new () => DeviceLists;
  readonly EncryptionSettings: new () => EncryptionSettings;
  readonly DecryptionSettings: new (trust: number) => DecryptionSettings;
  readonly RequestType: Readonly<
    Record<'KeysUpload' | 'KeysQuery' | 'KeysClaim' | 'ToDevice' | 'SignatureUpload', number>
  >;
  readonly TrustRequirement: Readonly<Record<'Untrusted', number>>;
  readonly ProcessedToDeviceEventType: Readonly<Record<'Decrypted', number>>;
}

interface Handle {
  free(): void;
}
type UserId = Handle & { readonly opaque?: 'user' };
type DeviceId = Handle & { readonly opaque?: 'device' };
type RoomId = Handle & { readonly opaque?: 'room' };
type DeviceLists = Handle & { readonly opaque?: 'lists' };
type DecryptionSettings = Handle & { readonly opaque?: 'decryption' };
interface EncryptionSettings extends Handle {
  rotationPeriodMessages: bigint;
}
interface Request {
  readonly id: string;
  readonly type: number;
  readonly body: string;
}
interface ToDeviceRequest extends Request {
  readonly event_type: string;
}
interface Device extends Handle {
  encryptToDeviceEvent(type: string, content: Content): Promise<string>;
}
interface OlmMachine {
  outgoingRequests(): Promise<Request[]>;
  markRequestAsSent(id: string, type: number, response: string): Promise<boolean>;
  /** Takes the ids over, as all calls with lists do. */
  updateTrackedUsers(users: UserId[]): Promise<void>;
  getMissingSessions(users: UserId[]): Promise<Request | null | undefined>;
  getDevice(user: UserId, device: DeviceId): Promise<Device | undefined>;
  invalidateGroupSession(room: RoomId): Promise<boolean>;
  shareRoomKey(room: RoomId, users: UserId[], settings: EncryptionSettings): Promise<ToDeviceRequest[]>;
  encryptRoomEvent(room: RoomId, type: string, content: string): Promise<string>;
  decryptRoomEvent(
    event: string,
    room: RoomId,
    settings: DecryptionSettings,
  ): Promise<Handle & { readonly event: string }>;
  receiveSyncChanges(
    toDevice: string,
    changed: DeviceLists,
    oneTimeKeys: Map<string, number>,
  ): Promise<(Handle & { readonly type: number; readonly rawEvent: string })[]>;
  close(): void;
}

interface Content {
  readonly msgtype: 'm.text';
  readonly body: string;
}
type Json = Readonly<Record<string, unknown>>;
type Keys = Readonly<Record<string, Json>>;

/** Whoever never claims one-time keys has this many left. */
const ONE_TIME_KEYS = new Map([['signed_curve25519', 50]]);
/** The most that the machine lets be set. */
const NEVER_ROTATE = 10_000n;
const TYPE = 'm.room.message';

interface Party {
  readonly user: string;
  readonly device: string;
  readonly machine: OlmMachine;
}

/** What a homeserver knows of one device. */
interface Uploaded {
  readonly device_keys: Json;
  readonly one_time_keys: Keys;
}

export interface MatrixPair {
  readonly megolm: Pass;
  readonly olm: Pass;
  close(): void;
}

export async function matrixPair(lib: MatrixCrypto): Promise<MatrixPair> {
  await lib.initAsync();
  const alice = await createParty(lib, 'alice');
  const bob = await createParty(lib, 'bob');
  await meet(lib, [alice, bob]);
  const toBob = await deviceAsSeenBy(lib, alice, bob);
  const toAlice = await deviceAsSeenBy(lib, bob, alice);
  const untrusted = new lib.DecryptionSettings(lib.TrustRequirement.Untrusted);
  // The first is a prekey message; its answer ends that.
  await sendToDevice(lib, alice, bob, toBob, text(1));
  await sendToDevice(lib, bob, alice, toAlice, text(1));
  const room = new lib.RoomId('!room:example.org');
  return {
    async megolm(bytes, count) {
      await shareRoomKey(lib, alice, bob, room);
      const content: Content = { msgtype: 'm.text', body: text(bytes) };
      const began = performance.now();
      for (let i = 0; i < count; i++) {
        const encrypted = await alice.machine.encryptRoomEvent(room, TYPE, JSON.stringify(content));
        const event = JSON.stringify({
          type: 'm.room.encrypted',
          event_id: `$${began}-${i}`,
          room_id: '!room:example.org',
          sender: alice.user,
          origin_server_ts: Date.now(),
          content: JSON.parse(encrypted),
        });
        const decrypted = await bob.machine.decryptRoomEvent(event, room, untrusted);
        mustSay(decrypted.event, content.body);
        decrypted.free();
      }
      return performance.now() - began;
    },
    async olm(bytes, count) {
      const body = text(bytes);
      const began = performance.now();
      for (let i = 0; i < count; i++) await sendToDevice(lib, alice, bob, toBob, body);
      return performance.now() - began;
    },
    close() {
      for (const handle of [toBob, toAlice, untrusted, room]) handle.free();
      for (const { machine } of [alice, bob]) machine.close();
    },
  };
}

async function createParty(lib: MatrixCrypto, name: string): Promise<Party> {
  const [user, device] = [`@${name}:example.org`, name.toUpperCase()];
  const machine = await lib.OlmMachine.initialize(new lib.UserId(user), new lib.DeviceId(device));
  return { user, device, machine };
}

/** Both upload, ask for the other's keys, and Alice claims what she needs for a session with Bob. */
async function meet(lib: MatrixCrypto, both: readonly [Party, Party]): Promise<void> {
  const [alice, bob] = both;
  const { KeysUpload, KeysQuery } = lib.RequestType;
  const uploaded = new Map<Party, Uploaded>();
  for (const party of both) {
    await answer(party, KeysUpload, (body) => {
      uploaded.set(party, JSON.parse(body));
      return { one_time_key_counts: Object.fromEntries(ONE_TIME_KEYS) };
    });
  }
  const known = both.map((party) => [party.user, { [party.device]: uploaded.get(party)?.device_keys }]);
  for (const party of both) {
    await party.machine.updateTrackedUsers(both.map(({ user }) => new lib.UserId(user)));
    await answer(party, KeysQuery, () => ({ device_keys: Object.fromEntries(known), failures: {} }));
  }
  const claim = await alice.machine.getMissingSessions([new lib.UserId(bob.user)]);
  const [key] = Object.entries(uploaded.get(bob)?.one_time_keys ?? {});
  if (claim === null || claim === undefined || key === undefined)
    throw new Error('there is nothing to claim');
  const claimed = { [bob.user]: { [bob.device]: Object.fromEntries([key]) } };
  const response = JSON.stringify({ one_time_keys: claimed, failures: {} });
  await alice.machine.markRequestAsSent(claim.id, claim.type, response);
}

/** As a homeserver would answer the requests of this type that are waiting. */
async function answer({ machine }: Party, type: number, respond: (body: string) => Json): Promise<void> {
  for (const request of await machine.outgoingRequests()) {
    if (request.type !== type) continue;
    const response = respond(request.body);
    await machine.markRequestAsSent(request.id, type, JSON.stringify(response));
  }
}

async function deviceAsSeenBy(lib: MatrixCrypto, { machine }: Party, other: Party): Promise<Device> {
  const device = await machine.getDevice(new lib.UserId(other.user), new lib.DeviceId(other.device));
  if (device === undefined) throw new Error('the keys were not taken');
  return device;
}

/** A new one, whatever there was. */
async function shareRoomKey(lib: MatrixCrypto, from: Party, to: Party, room: RoomId): Promise<void> {
  await from.machine.invalidateGroupSession(room);
  const settings = new lib.EncryptionSettings();
  settings.rotationPeriodMessages = NEVER_ROTATE;
  for (const request of await from.machine.shareRoomKey(room, [new lib.UserId(to.user)], settings)) {
    const { messages }: { messages: Record<string, Keys> } = JSON.parse(request.body);
    const content = messages[to.user]?.[to.device];
    if (content !== undefined) await receive(lib, from, to, request.event_type, content);
    await from.machine.markRequestAsSent(request.id, request.type, '{}');
  }
  settings.free();
}

async function sendToDevice(
  lib: MatrixCrypto,
  from: Party,
  to: Party,
  device: Device,
  body: string,
): Promise<void> {
  const encrypted = await device.encryptToDeviceEvent(TYPE, { msgtype: 'm.text', body });
  mustSay(await receive(lib, from, to, 'm.room.encrypted', JSON.parse(encrypted)), body);
}

/** What is in the only event of an answer to `/sync`. */
async function receive(
  lib: MatrixCrypto,
  from: Party,
  to: Party,
  type: string,
  content: Json,
): Promise<string> {
  const event = JSON.stringify([{ sender: from.user, type, content }]);
  const [processed] = await to.machine.receiveSyncChanges(event, new lib.DeviceLists(), ONE_TIME_KEYS);
  if (processed?.type !== lib.ProcessedToDeviceEventType.Decrypted) throw new Error('it was not decrypted');
  const { rawEvent } = processed;
  processed.free();
  return rawEvent;
}

function mustSay(event: string, body: string): void {
  const { content }: { content: Content } = JSON.parse(event);
  if (content.body !== body) throw new Error('something else has arrived');
}

/** Text, since Matrix carries JSON; base64 would make it a third longer, so it is not made of bytes. */
function text(characters: number): string {
  return toBase64(nodeRandomness(characters)).slice(0, characters);
}
