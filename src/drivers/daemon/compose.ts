/**
 * The composition root of the Node platform: plain calls, from the store outwards. Whatever has been opened is
 * closed again in reverse, also where the start fails halfway.
 */
import { createMethods } from '../../adapters/api/methods.ts';
import { type BrokerLine, createBrokerLine } from '../../adapters/broker-line.ts';
import type { UnlockSecret } from '../../adapters/keystore/slot.ts';
import type { MethodTable } from '../../adapters/rpc/server.ts';
import { toHex } from '../../entities/bytes.ts';
import { parseCertificatePin } from '../../entities/certificate-pin.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import { inviteLogin } from '../../entities/pairing/keys.ts';
import type { LinkBroker } from '../../entities/pairing/link.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import { Secret } from '../../entities/secret.ts';
import { utf8 } from '../../entities/text.ts';
import { loadDevice } from '../../usecases/device/load-device.ts';
import { loadMesh } from '../../usecases/membership/load-mesh.ts';
import { createMessenger, type Messenger } from '../../usecases/messaging/messenger.ts';
import type { RecordKind } from '../../usecases/ports/keystore.ts';
import type { Transport } from '../../usecases/ports/transport.ts';
import { CLIENT_ID, createSettings, type Settings, splitUrls } from '../../usecases/settings.ts';
import type { KnownVersions, MqttSettings } from '../mqtt/settings.ts';
import { nodeBase64, strictBase64 } from '../node/base64.ts';
import { nodeClock } from '../node/clock.ts';
import { openKeystore } from '../node/open-keystore.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';
import { loadEngine } from '../vodozemac/load-node.ts';
import { createCheckup } from './checkup.ts';
import { createCrossing, guarded } from './crossing.ts';
import { type Embedded, type EmbeddedAddress, guestsOf, openEmbedded } from './embedded.ts';
import { bidFarewell } from './farewell.ts';
import { VERSION } from './version.ts';

export const VERIFIED_AT_OPEN: readonly RecordKind[] = ['identity', 'account', 'entry', 'setting', 'pair'];
/** How long the broker has been quiet when what it held for us counts as handed over. */
const QUIET_PAUSE = 40;
const QUIET_LIMIT = 5000;
/** How long a command waits for a join that an earlier one has begun. */
const JOIN_LIMIT = 15_000;
/** How long a command of a removed device stays to tell the others. */
const FAREWELL_LIMIT = 3000;
/** A removed device shall still hear why, before its login is gone. */
const LOGIN_GRACE = 5000;

export interface ComposeOptions {
  readonly home: string;
  readonly unlock: UnlockSecret;
  readonly host: 'daemon' | 'one-shot';
  readonly embeddedBroker?: EmbeddedAddress | undefined;
  /** Called once: the process has to end, and nothing more may be written. */
  readonly fatal: (error: unknown) => void;
  readonly handOver: () => void;
  /** The device has left: its store is to go when it is closed. */
  readonly retire: () => void;
}

export interface RunningDevice {
  readonly deviceId: DeviceId;
  readonly membership: () => Membership;
  readonly messenger: Messenger;
  readonly line: BrokerLine;
  readonly settings: Settings;
  readonly methods: MethodTable;
  /** Where there is one. */
  readonly embeddedBroker: Embedded | undefined;
  /** Connects. A second call does nothing. */
  goOnline(): void;
  /** A join has ended, and what runs here is of the mesh that was before it: all is to be opened anew. */
  readonly outdated: Promise<void>;
  /** Ends in good order and gives the store back. */
  stop(): Promise<void>;
  /** Ends without another word, as a power cut would. */
  abandon(): void;
}

export async function composeDevice(options: ComposeOptions): Promise<RunningDevice> {
  const undo: (() => Promise<void> | void)[] = [];
  const undoAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    return await compose(options, undo, undoAll);
  } catch (error) {
    // The first failure is the one to tell.
    await undoAll().catch(() => undefined);
    throw error;
  }
}

async function compose(
  { home, unlock, host, embeddedBroker, fatal, handOver, retire }: ComposeOptions,
  undo: (() => Promise<void> | void)[],
  undoAll: () => Promise<void>,
): Promise<RunningDevice> {
  const { hash, mac, cipher } = nodePrimitives;
  const { keystore, slots } = await openKeystore(home, unlock, { verifyAtOpen: VERIFIED_AT_OPEN });
  undo.push(() => keystore.close());

  const engine = await loadEngine(nodeRandomness);
  const device = await loadDevice({ engine, hash }, keystore);
  undo.push(() => device.account.dispose());
  const membership = await loadMesh(hash, keystore);

  // A device that has joined a mesh elsewhere uses the broker of that mesh, whatever it is started with.
  const configured = await keystore.read('setting', 'broker');
  const guests =
    embeddedBroker === undefined || configured !== undefined
      ? undefined
      : await openEmbedded(keystore, {
          ...embeddedBroker,
          self: device.self.id,
          members: guestsOf(membership.roster),
        });
  if (guests !== undefined) undo.push(() => guests.stop());

  const settings = createSettings(keystore, async (key) => {
    if (key === 'topic-prefix') guests?.setTopicPrefix(await settings.get(key));
    // No matter of the broker: the connection stays.
    if (key === 'retention') return messenger.inbox.sweep();
    // Whether the embedded broker runs at all hangs on this one.
    if (key === 'broker' && embeddedBroker !== undefined) crossing.end();
    else await line.renew();
  });
  const access = async (): Promise<BrokerSettings> =>
    guests === undefined
      ? brokerSettings(settings)
      : guests.settingsFor(device.self.id, await settings.get('topic-prefix'));
  const versions: KnownVersions = new Map();
  const platform = { clock: nodeClock, randomness: nodeRandomness, versions };
  const connect = async (own: BrokerSettings): Promise<Transport> => {
    // Loaded when it is needed: a command that only looks at the store does not pay for it.
    const { MqttTransport } = await import('../mqtt/mqtt-transport.ts');
    const clientId = (await keystore.read('setting', CLIENT_ID)) ?? toHex(nodeRandomness(11));
    return new MqttTransport({ ...own, clientId, device: device.self.id }, platform);
  };
  const line: BrokerLine = createBrokerLine({
    clock: nodeClock,
    connect: async () => connect(await access()),
  });

  const messenger = await createMessenger({
    engine,
    hash,
    mac,
    cipher,
    clock: nodeClock,
    randomness: nodeRandomness,
    keystore,
    transport: line,
    self: device.self,
    account: device.account,
    pickleKey: device.pickleKey,
    membership,
    ...(guests === undefined ? {} : { loginFor: guests.loginFor }),
    fatal,
  });
  let closing: Promise<void> | undefined;
  const closeMesh = (): Promise<void> => {
    closing ??= messenger.close();
    return closing;
  };
  undo.push(closeMesh);
  if (guests !== undefined) undo.push(serveGuests(guests, messenger));

  const crossing = createCrossing({ engine, keystore, device, connect }, closeMesh);
  undo.push(() => crossing.stop());
  let opened: Promise<void> | undefined;
  const goOnline = (): void => {
    if (opened !== undefined) return;
    opened = crossing.resume().then((resumed) => {
      if (resumed !== undefined) return Promise.race([resumed.ended, after(JOIN_LIMIT)]);
      messenger.open();
      return line.quiet(QUIET_PAUSE, QUIET_LIMIT);
    });
    opened.catch(fatal);
  };
  const methods = createMethods({
    self: device.self.id,
    home,
    host,
    pid: process.pid,
    version: VERSION,
    hash,
    base64: { encode: nodeBase64.encode, decode: strictBase64 },
    clock: nodeClock,
    randomness: nodeRandomness,
    keystore,
    messenger,
    membership: messenger.log.membership,
    settings,
    slots,
    line,
    checkup: createCheckup({ home, self: device.self.id, access, platform }),
    async online() {
      if (host === 'one-shot') {
        goOnline();
        await opened;
      }
      crossing.check();
    },
    inviteBroker: (shareLogin) => inviteBroker(settings, guests, shareLogin),
    join: crossing.join,
    retire,
    fatal,
    handOver,
  });

  /** A daemon does it for as long as it lives; a command only in passing. */
  async function seeOff(): Promise<void> {
    if (host === 'daemon') return;
    goOnline();
    await bidFarewell(messenger, device.self.id, FAREWELL_LIMIT);
  }

  return {
    deviceId: device.self.id,
    membership: messenger.log.membership,
    messenger,
    line,
    settings,
    methods: guarded(methods, messenger.farewell, crossing, seeOff),
    outdated: crossing.outdated,
    embeddedBroker: guests,
    goOnline,
    stop: undoAll,
    abandon: () => messenger.abandon(),
  };
}

type BrokerSettings = Omit<MqttSettings, 'clientId' | 'device'>;

/** Throws `broker-url-missing` where there is none. */
async function brokerSettings(settings: Settings): Promise<BrokerSettings> {
  const urls = await settings.get('broker');
  if (urls === undefined) throw new MeshError('broker-url-missing');
  const password = await settings.get('broker-password');
  const pin = await settings.get('broker-pin');
  return {
    urls: splitUrls(urls),
    username: await settings.get('broker-user'),
    password: password === undefined ? undefined : new Secret(utf8(password)),
    ca: await settings.get('broker-ca'),
    pin: pin === undefined ? undefined : parseCertificatePin(pin),
    topicPrefix: await settings.get('topic-prefix'),
  };
}

async function inviteBroker(
  settings: Settings,
  guests: Embedded | undefined,
  shareLogin: boolean,
): Promise<LinkBroker> {
  const topicPrefix = await settings.get('topic-prefix');
  const prefix = topicPrefix === undefined ? {} : { topicPrefix };
  if (guests !== undefined) {
    const { inviteUrl, pin } = guests;
    if (inviteUrl === undefined) throw new MeshError('invite-no-address');
    return { url: inviteUrl, derivedLogin: true, ...prefix, ...(pin === undefined ? {} : { pin }) };
  }
  const { urls, username, password, pin } = await brokerSettings(settings);
  const [url] = urls;
  if (url === undefined) throw new MeshError('broker-url-missing');
  const login =
    shareLogin && username !== undefined
      ? { login: { user: username, password: password ?? new Secret(new Uint8Array()) } }
      : {};
  return { url, ...prefix, ...login, ...(pin === undefined ? {} : { pin }) };
}

/** Keeps the logins of the embedded broker in step with the roster and the invites. */
function serveGuests(guests: Embedded, messenger: Messenger): () => void {
  const { mac } = nodePrimitives;
  let served: string | undefined;
  const invites = (): void => {
    const logins = messenger.inviting.logins();
    const ids = logins.map(({ id }) => id).join();
    if (ids === served) return;
    served = ids;
    guests.setInvites(logins.map(({ secret }) => inviteLogin(mac, secret)));
  };
  invites();
  // Each for its own while: what the others say to the removal is a change of the log too.
  const leaving = new Set<DeviceId>();
  const members = (): void => {
    guests.setMembers(new Set([...guestsOf(messenger.log.membership().roster), ...leaving]));
  };
  return messenger.listen((news) => {
    // Whatever happened: an invite is over, too, once its newcomer is heard as a member, or removed, or in time.
    invites();
    if (news.kind !== 'membership') return;
    const { before, now } = news.change;
    const still = guestsOf(now);
    for (const id of guestsOf(before)) {
      if (still.has(id)) continue;
      leaving.add(id);
      nodeClock.after(LOGIN_GRACE, () => {
        leaving.delete(id);
        members();
      });
    }
    members();
  });
}

const after = (delay: number): Promise<void> =>
  new Promise((resolve) => {
    nodeClock.after(delay, resolve);
  });
