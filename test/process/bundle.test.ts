/** The program as it is installed: bundled. The other tests run what the bundle is made from. */
import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hasMosquitto, type Mosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { temporaryDirectory } from '../support/home.ts';
import { type MeshDevice, makeMesh } from './make-mesh.ts';
import { as, compile, type MeshProcess, up } from './mesh-process.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

let folder: string;
let program: string;
let base: string;
let broker: Mosquitto | undefined;
let daemon: MeshProcess | undefined;

beforeAll(async () => {
  await compile();
  // Below the repository, where its packages are found.
  folder = await mkdtemp(join(root, 'dist', 'bundle-'));
  await run(process.execPath, [join(root, 'scripts/bundle.mjs'), folder]);
  program = join(folder, 'mesh.js');
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  base = await temporaryDirectory();
});
afterEach(async () => {
  await daemon?.stop('SIGKILL');
  await broker?.stop();
  await rm(base, { recursive: true, force: true });
});

const bundled = async (...args: readonly string[]): Promise<string> =>
  (await run(process.execPath, [program, ...args], { env: { PATH: process.env.PATH } })).stdout;

test('can be started by its name, and makes a device and looks at it', async () => {
  await access(program, constants.X_OK);
  const device = ['--home', join(base, 'home'), '--key-file', join(base, 'key'), '--json'];
  const { deviceId } = JSON.parse(await bundled('init', '--name', 'laptop', ...device));
  expect(JSON.parse(await bundled('devices', ...device))).toMatchObject({ deviceId, name: 'laptop' });
  expect(await bundled('--help')).toContain('Usage: mesh');
});

test.skipIf(!hasMosquitto).each([['tcp'], ['WebSocket']])(
  `reaches a broker over %s and another device${hasMosquitto ? '' : ` (${withoutMosquitto})`}`,
  async (way) => {
    broker = await startMosquitto({ webSockets: true });
    const brokerUrl = way === 'tcp' ? broker.url : `ws://127.0.0.1:${broker.webSocketPort}/`;
    const [laptop, phone] = (await makeMesh({ count: 2, dir: base, brokerUrl })) as [MeshDevice, MeshDevice];
    daemon = await up(phone);
    const sent = await bundled('send', phone.deviceId, 'hello', '--wait', 'delivered', ...as(laptop));
    expect(JSON.parse(sent)).toMatchObject({ to: [{ deviceId: phone.deviceId, state: 'delivered' }] });
  },
);
