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
import { nodeClock } from '../node/clock.ts';
import { openKeystore } from '../node/open-keystore.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { nodeRandomness } from '../node/randomness.ts';
import { loadEngine } from '../vodozemac/load-node.ts';
import { type Embedded, type EmbeddedAddress, openEmbedded } from './embedded.ts';
import { VERSION } from './version.ts';

export const VERIFIED_AT_OPEN: readonly RecordKind[] = ['identity', 'account', 'entry', 'setting', 'pair'];
/** How long the broker has been quiet when what it held for us counts as handed over. */
const QUIET_PAUSE = 40;
const QUIET_LIMIT = 5000;

export interface ComposeOptions {
  readonly home: string;
  readonly unlock: UnlockSecret;
  readonly host: 'daemon' | 'one-shot';
  readonly embeddedBroker?: EmbeddedAddress | undefined;
  /** Called once: the process has to end, and nothing more may be written. */
  readonly fatal: (error: unknown) => void;
  readonly handOver: () => void;
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
  { home, unlock, host, embeddedBroker, fatal, handOver }: ComposeOptions,
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

  const guests =
    embeddedBroker === undefined
      ? undefined
      : await openEmbedded(keystore, {
          ...embeddedBroker,
          self: device.self.id,
          members: membership.roster.members,
        });
  if (guests !== undefined) undo.push(() => guests.stop());

  const settings = createSettings(keystore, async (key) => {
    if (key === 'topic-prefix') guests?.setTopicPrefix(await settings.get(key));
    await line.renew();
  });
  const versions: KnownVersions = new Map();
  const platform = { clock: nodeClock, randomness: nodeRandomness, versions };
  const line: BrokerLine = createBrokerLine({
    clock: nodeClock,
    connect: async (): Promise<Transport> => {
      const own =
        guests === undefined
          ? await brokerSettings(settings)
          : guests.settingsFor(device.self.id, await settings.get('topic-prefix'));
      // Loaded when it is needed: a command that only looks at the store does not pay for it.
      const { MqttTransport } = await import('../mqtt/mqtt-transport.ts');
      const clientId = (await keystore.read('setting', CLIENT_ID)) ?? toHex(nodeRandomness(11));
      return new MqttTransport({ ...own, clientId, device: device.self.id }, platform);
    },
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
    fatal,
  });
  undo.push(() => messenger.close());

  let opened: Promise<void> | undefined;
  const goOnline = (): void => {
    if (opened !== undefined) return;
    messenger.open();
    opened = line.quiet(QUIET_PAUSE, QUIET_LIMIT);
  };
  const methods = createMethods({
    self: device.self.id,
    home,
    host,
    pid: process.pid,
    version: VERSION,
    hash,
    clock: nodeClock,
    randomness: nodeRandomness,
    keystore,
    messenger,
    membership: () => membership,
    settings,
    slots,
    line,
    async online() {
      if (host === 'daemon') return;
      goOnline();
      await opened;
    },
    fatal,
    handOver,
  });

  return {
    deviceId: device.self.id,
    membership: () => membership,
    messenger,
    line,
    settings,
    methods,
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
