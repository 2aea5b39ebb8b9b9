/**
 * The methods of the local API, called over a control socket with parameters of every kind, upon a device with
 * the real engine and a sealed store in memory. Whatever is asked, the answer is a result or a stable code.
 */
import { createMethods } from '../../../src/adapters/api/methods.ts';
import type { ApiPorts } from '../../../src/adapters/api/ports.ts';
import type { ChannelEvents } from '../../../src/adapters/rpc/channel.ts';
import {
  encodeLine,
  isObject,
  type Json,
  type JsonObject,
  parseLine,
} from '../../../src/adapters/rpc/protocol.ts';
import { createRpcServer } from '../../../src/adapters/rpc/server.ts';
import { nodeBase64, strictBase64 } from '../../../src/drivers/node/base64.ts';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { toBase64 } from '../../../src/entities/bytes.ts';
import { explanations, MeshError } from '../../../src/entities/errors.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { decode, encode, type Value } from '../../../src/entities/wire/cbor.ts';
import { createSettings, SETTING_KEYS } from '../../../src/usecases/settings.ts';
import { Rig } from '../../usecases/messaging/rig.ts';
import { demand, type Target } from '../target.ts';
import { textsIn } from './vectors.ts';

const CAPS = { bytes: 8192, depth: 12, items: 4000 };
const MOST_CALLS = 4;
/** What was done to a device stays with it, so there is a fresh one now and then. */
const CALLS_PER_DEVICE = 400;

interface Bench {
  readonly rig: Rig;
  readonly ports: ApiPorts;
  readonly methods: ReturnType<typeof createMethods>;
  used: number;
  spent: boolean;
}

async function makeBench(): Promise<Bench> {
  const rig = await Rig.met();
  const { laptop } = rig;
  const bench: { spent: boolean } = { spent: false };
  const end = (): void => {
    bench.spent = true;
  };
  const ports: ApiPorts = {
    self: laptop.id,
    home: '/home/alice/.mesh',
    host: 'daemon',
    pid: 1,
    version: '0',
    hash: nodePrimitives.hash,
    base64: { encode: nodeBase64.encode, decode: strictBase64 },
    clock: rig.clock,
    randomness: (length) => rig.seeded.bytes(length),
    keystore: laptop.keystore,
    messenger: laptop.messenger,
    membership: () => laptop.messenger.log.membership(),
    settings: createSettings(laptop.keystore, async () => undefined),
    slots: {
      list: () => [{ number: 1, kind: 'key-file' }],
      add: async () => 2,
      async remove(slot) {
        throw new MeshError('slot-unknown', { slot });
      },
    },
    line: {
      state: () => ({ broker: 'mqtt://broker.example:1883', error: undefined, permanent: false }),
      watch: () => () => undefined,
      publish: async () => 'offline',
      probe: () => () => undefined,
      renew: async () => undefined,
    },
    checkup: {
      files: async () => undefined,
      oneSessionPerLogin: async () => false,
      async secondClient() {
        throw new MeshError('broker-url-missing');
      },
    },
    online: async () => undefined,
    fatal: end,
    inviteBroker: async () => ({ url: 'mqtt://broker.example' }),
    async join() {
      throw new MeshError('join-no-broker');
    },
    retire: end,
    handOver: end,
  };
  return Object.assign(bench, { rig, ports, methods: createMethods(ports), used: 0 });
}

function jsonOf(value: Value | undefined): Json {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return toBase64(value);
  if (Array.isArray(value)) return (value as readonly Value[]).map(jsonOf);
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonOf(item)]));
}

let current: Bench | undefined;

async function benchFor(calls: number): Promise<Bench> {
  if (current === undefined || current.spent || current.used + calls > CALLS_PER_DEVICE) {
    for (const device of current?.rig.devices ?? []) current?.rig.crash(device);
    current = await makeBench();
  }
  current.used += calls;
  return current;
}

async function examineCalls(input: Uint8Array): Promise<void> {
  const value = decode(input, CAPS);
  if ('refused' in value || !Array.isArray(value.ok)) return;
  const calls = (value.ok as readonly Value[]).slice(0, MOST_CALLS);
  const bench = await benchFor(calls.length);
  const bugs: unknown[] = [];
  const answers: JsonObject[] = [];
  const server = createRpcServer({
    methods: bench.methods,
    clock: bench.rig.clock,
    bug: (error) => void bugs.push(error),
  });
  let events: ChannelEvents | undefined;
  server.accept({
    write: (bytes) => void answers.push(parseLine(bytes.subarray(0, -1)) ?? {}),
    unsent: 0,
    pause: () => undefined,
    resume: () => undefined,
    end: () => undefined,
    destroy: () => undefined,
    attach: (given) => {
      events = given;
    },
  });
  for (const [id, call] of calls.entries()) {
    const [method, params] = Array.isArray(call) ? (call as readonly Value[]) : [call];
    events?.data(encodeLine({ jsonrpc: '2.0', id, method: jsonOf(method), params: jsonOf(params ?? {}) }));
  }
  await bench.rig.settle();
  events?.closed();
  server.stop();
  await bench.rig.settle();
  const { fatal } = bench.rig.laptop;
  if (fatal !== undefined) bench.spent = true;
  if (fatal instanceof Error) throw new Error(`the program ended: ${fatal.message}`, { cause: fatal });
  const [bug] = bugs;
  if (bug !== undefined) throw bug;
  for (const { error } of answers) {
    if (error === undefined) continue;
    const data = isObject(error) && isObject(error.data) ? error.data : {};
    demand(typeof data.code === 'string' && data.code in explanations, 'an error without a code');
    demand(data.code !== 'bug', 'an answer that calls itself a bug');
  }
}

const METHODS: readonly (readonly [string, Value])[] = [
  ['hello', {}],
  ['status', {}],
  ['devices', {}],
  ['send', { target: 'all', text: 'hello', type: 't', thread: 'x', ttl: 1000, id: 'a', wait: 'accepted' }],
  ['send', { target: "Alice's phone", data: 'AAEC' }],
  ['cancel', { id: 'a' }],
  ['outbox', { all: true }],
  ['listen', { cursor: 'c', from: "Alice's phone", thread: 'x', peek: false }],
  ['config.list', {}],
  ['config.get', { key: 'broker' }],
  ['config.set', { key: 'broker', value: 'mqtt://broker.example' }],
  ['config.unset', { key: 'broker' }],
  ['key.list', {}],
  ['key.add', { kind: 'passphrase', secret: 'AAEC' }],
  ['key.remove', { number: 1 }],
  ['revoke.preview', { device: "Alice's phone" }],
  ['revoke', { device: "Alice's phone", reason: 'lost', wait: false, timeout: 1 }],
  ['rename', { name: 'a laptop' }],
  ['leave', { force: true, timeout: 1 }],
  ['invite', { ttl: 600_000, shareBrokerLogin: false, wait: true }],
  ['invite.watch', { inviteId: 'x' }],
  ['invite.cancel', { inviteId: null }],
  ['requests', {}],
  ['approve', { code: '0000-0000', request: 'x', timeout: 1 }],
  ['decline', { request: 'x' }],
  ['join.cancel', {}],
  ['handover', {}],
  ['doctor', {}],
  ['group.list', {}],
  ['group.create', { name: 'family' }],
  ['group.add', { group: 'family', devices: ["Alice's phone"] }],
  ['group.remove', { group: 'family', devices: ["Alice's phone"] }],
  ['group.rename', { group: 'family', name: 'friends' }],
  ['group.rotate', { group: 'family' }],
  ['group.delete', { group: 'family' }],
];

export function apiTarget(root: string): Target {
  const links = textsIn(root, 'pairing.json', 'text').filter((text) => text.startsWith('mesh://join#A'));
  const names = new Set(METHODS.flatMap(([, params]) => Object.keys(isObject(params) ? params : {})));
  const methods = METHODS.map(([method]) => method);
  return {
    name: 'api',
    watched: [
      'src/adapters/api/',
      'src/adapters/rpc/',
      'src/usecases/settings',
      'src/usecases/membership/',
      'src/usecases/messaging/accepting',
      'src/usecases/pairing/invit',
      'src/entities/device-name',
    ],
    form: { kind: 'cbor', prefix: 0 },
    dictionary: [
      ...[...names, ...methods, ...SETTING_KEYS, '__proto__', 'constructor', 'toString'],
      ...[
        "Alice's phone",
        "Alice's laptop",
        'all',
        'lost',
        'accepted',
        'published',
        'delivered',
        'passphrase',
      ],
      ...[
        '\u0958'.repeat(64),
        '\u{1D15E}'.repeat(64),
        '\uD7FF',
        '\uFEFF',
        'e\u0301',
        'x'.repeat(300),
        '1234-5678',
      ],
    ].map(utf8),
    longest: 4096,
    seeds: [
      ...METHODS.map(([method, params]) => encode([[method, params]])),
      ...links.flatMap((link) => [
        encode([['join.look', { link }]]),
        encode([['join', { link, login: { user: 'u' } }]]),
      ]),
      encode([
        ['listen', { cursor: 'c' }],
        ['listen.done', { subscription: 1, message: 1, number: 1 }],
        ['listen.trouble', { subscription: 1, attempts: 1, error: 'x' }],
      ]),
    ],
    examine: examineCalls,
  };
}
