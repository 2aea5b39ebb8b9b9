/**
 * Messages from one party to another, beside what others offer for that: libsignal, and the crypto machine of Matrix.
 * All of them in this process, in turn, without a broker or a network.
 *
 * What is done for a message, until it counts:
 * - mesh: message and ratchet are durable before it is sent, and again before it is acknowledged, sealed and authenticated
 *   at rest; the acknowledgement comes back and is durable too. Numbers, order, no duplicates, padding, the roster.
 * - libsignal: payload and session are durable at both ends, in the clear. No acknowledgement, nothing against loss, and
 *   what was delivered is not removed. Its ratchet withstands quantum computers, which ours does not.
 * - Matrix: encrypted and decrypted, nothing else: the package has no store under Node. Messages are JSON.
 *
 * A burst of the mesh shares its commits, which it was made for. The peers are used as their interfaces have it: a message
 * is encrypted, kept and decrypted before the next one is begun. What a program around libsignal could make of a burst
 * is shown by two figures more: one write for many messages, and none at all. They stand aside from what is aimed at: the
 * first is a program that would have to be written, the second one forgets everything.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Keeping, type Libsignal, libsignalPair } from './libsignal.ts';
import { type MatrixCrypto, matrixPair } from './matrix-crypto.ts';
import { type Aim, against, inTurn, type Measured, type Row } from './rows.ts';
import { type TwoMessengers, twoMessengers } from './two-messengers.ts';

/** Milliseconds that so many messages of this size take. */
export type Pass = (bytes: number, count: number) => Promise<number>;

const SIZES = { '100 B': 100, '1 KiB': 1024 } as const;
const ROUNDS = 5;
const BURST = 5000;
/** One after the other. */
const SINGLES = 300;
const MANY = 64;
const BURST_NAME = 'mesh burst without a broker';
const SINGLES_NAME = 'mesh one by one without a broker';

interface Peer {
  readonly name: string;
  readonly count: number;
  readonly pass: Pass;
  /** `each`: a message is durable at both ends before the next one. `aside`: not what is aimed at, see the top. */
  readonly keeps: 'each' | 'nothing' | 'aside';
}

interface Peers {
  readonly all: readonly Peer[];
  close(): Promise<void>;
}

export async function peerRows(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const opened: { close(): Promise<void> }[] = [];
  try {
    const peers: Peer[] = [];
    for (const openPeers of [openLibsignal, openMatrix]) {
      const some = await openPeers(dir);
      if (some === undefined) continue;
      opened.push(some);
      peers.push(...some.all);
    }
    if (peers.length === 0) return [];
    const mesh = await twoMessengers(join(dir, 'mesh'));
    opened.push(mesh);
    const rows: Row[] = [];
    for (const [size, bytes] of Object.entries(SIZES)) rows.push(...(await rowsOf(mesh, peers, size, bytes)));
    return rows;
  } finally {
    for (const one of opened) await one.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function rowsOf(
  mesh: TwoMessengers,
  peers: readonly Peer[],
  size: string,
  bytes: number,
): Promise<Row[]> {
  const measures: Record<string, () => Promise<number>> = {};
  const measure = (name: string, count: number, pass: Pass): void => {
    measures[name] = async () => (1000 * count) / (await pass(bytes, count));
  };
  for (const { name, count, pass } of peers) measure(name, count, pass);
  measure(BURST_NAME, BURST, mesh.burst);
  measure(SINGLES_NAME, SINGLES, mesh.oneByOne);
  const measured = await inTurn(ROUNDS, measures);

  const row = (name: string, reference: string | undefined, aim: Aim = {}): Row => {
    const figure = measured[name];
    if (figure === undefined) throw new Error(`${name} was not measured`);
    const beside = reference === undefined ? undefined : measured[reference];
    const plain = { name: `${name}, ${size}`, unit: '/s', ...figure } as const;
    if (reference === undefined || beside === undefined) return plain;
    return { ...plain, against: [against(reference, figure, beside, aim)] };
  };
  const oneByOne = peers.filter(({ keeps }) => keeps !== 'aside');
  const kept = peers.filter(({ keeps }) => keeps === 'each');
  return [
    ...peers.map(({ name }) => row(name, BURST_NAME)),
    row(BURST_NAME, fastest(oneByOne, measured), { least: 1 }),
    row(SINGLES_NAME, fastest(kept, measured)),
  ];
}

function fastest(peers: readonly Peer[], measured: Readonly<Record<string, Measured>>): string | undefined {
  const rate = ({ name }: Peer): number => measured[name]?.median ?? 0;
  return peers.toSorted((a, b) => rate(b) - rate(a))[0]?.name;
}

async function openLibsignal(dir: string): Promise<Peers | undefined> {
  const lib = load<Libsignal>('@signalapp/libsignal-client');
  if (lib === undefined) return undefined;
  const ways: readonly (Omit<Peer, 'pass'> & { readonly keeping: Keeping })[] = [
    { name: 'libsignal, each save synced', count: SINGLES, keeps: 'each', keeping: 'each save' },
    { name: 'libsignal, a synced batch for each', count: SINGLES, keeps: 'each', keeping: 1 },
    { name: `libsignal, a synced batch for ${MANY}`, count: MANY * 20, keeps: 'aside', keeping: MANY },
    { name: 'libsignal in memory, keeps nothing', count: 1000, keeps: 'aside', keeping: 'nothing' },
  ];
  const all: Peer[] = [];
  const opened: { close(): Promise<void> }[] = [];
  for (const { keeping, ...way } of ways) {
    const pair = await libsignalPair(lib, join(dir, way.name), keeping);
    opened.push(pair);
    all.push({ ...way, pass: pair.pass });
  }
  return {
    all,
    async close() {
      for (const pair of opened) await pair.close();
    },
  };
}

async function openMatrix(): Promise<Peers | undefined> {
  const lib = load<MatrixCrypto>('@matrix-org/matrix-sdk-crypto-wasm');
  if (lib === undefined) return undefined;
  const pair = await matrixPair(lib);
  return {
    all: [
      { name: 'Matrix Megolm in memory, keeps nothing', count: 500, keeps: 'nothing', pass: pair.megolm },
      { name: 'Matrix Olm in memory, keeps nothing', count: 200, keeps: 'nothing', pass: pair.olm },
    ],
    close: async () => pair.close(),
  };
}

/** What is installed in `bench`, seen from where this program is bundled to. Compiles without it. */
function load<Package>(name: string): Package | undefined {
  const require = createRequire(join(import.meta.dirname, '../../bench/package.json'));
  try {
    return require(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    console.error(`${name} is left out: ${reason} (to install it: npm ci --prefix bench)`);
    return undefined;
  }
}
