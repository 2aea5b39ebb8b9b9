/**
 * A process that commits until it is killed. Plain JavaScript over the compiled program, because Node runs no
 * TypeScript. Says "open <count> <whole or torn>" once, then "ok <number>" for each commit that was confirmed.
 */
import { writeSync } from 'node:fs';
import { nodeClock } from '../../dist/drivers/node/clock.js';
import { createKeystore, nodePlatform, openKeystore } from '../../dist/drivers/node/open-keystore.js';
import { readKeyFile } from '../../dist/drivers/node/unlock.js';

const [home, keyFile, mode, seed] = process.argv.slice(2);
const COMMITS = 1000;
const IN_FLIGHT = 3;
// Anchors twenty times as often as in life, so that the killing meets them as well.
const clock = { ...nodeClock, after: (delay, call) => nodeClock.after(delay / 20, call) };
const open = mode === 'create' ? createKeystore : openKeystore;
const unlock = await readKeyFile(keyFile);
const options = { checkpointBytes: 4096, verifyAtOpen: ['setting'] };
const { keystore } = await open(home, unlock, options, { ...nodePlatform, clock });

const text = (number) => `${number} `.repeat(1 + ((number * Number(seed)) % 40));
/** Every third is large enough to lie beside the database. */
const only = (number) => (number % 3 === 0 ? text(number).padEnd(80_000, ' large') : text(number));
const records = (number) => ({
  count: number,
  [`seven ${number % 7}`]: number,
  [`thirteen ${number % 13}`]: number,
});

/** What the store has to hold after so many commits, all of each commit or nothing. */
async function isWhole(count) {
  const expected = new Map();
  for (let number = Math.max(1, count - 20); number <= count; number++) {
    for (const [key, value] of Object.entries(records(number))) expected.set(key, value);
    expected.set(`only ${number}`, number);
    expected.delete(`only ${number - 3}`);
  }
  const keys = keystore.keys('setting');
  if (keys.length !== expected.size) return false;
  for (const [key, number] of expected) {
    const value = key.startsWith('only') ? only(number) : text(number);
    if ((await keystore.read('setting', key)) !== value) return false;
  }
  return true;
}

const count = Number.parseInt((await keystore.read('setting', 'count')) ?? '0', 10);
writeSync(1, `open ${count} ${(await isWhole(count)) ? 'whole' : 'torn'}\n`);

let next = count + 1;
async function work() {
  while (next <= count + COMMITS) {
    const number = next++;
    await keystore.commit([
      ...Object.entries(records(number)).map(([key, value]) => ({ kind: 'setting', key, put: text(value) })),
      { kind: 'setting', key: `only ${number}`, put: only(number) },
      { kind: 'setting', key: `only ${number - 3}`, remove: true },
    ]);
    writeSync(1, `ok ${number}\n`);
  }
}
await Promise.all(Array.from({ length: IN_FLIGHT }, work));
await keystore.close();
writeSync(1, 'closed\n');
