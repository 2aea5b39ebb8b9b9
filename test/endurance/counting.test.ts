/** What `test/process/scripts.test.ts` does with two hundred, with a thousand. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, it } from 'vitest';
import { hasMosquitto, startMosquitto, withoutMosquitto } from '../brokers/mosquitto.ts';
import { countAcross } from '../process/counting.ts';
import { compile } from '../process/mesh-process.ts';
import { temporaryDirectory } from '../support/home.ts';

const MINUTE = 60_000;
let dir: string;

beforeAll(async () => {
  await compile();
  dir = await temporaryDirectory();
}, MINUTE);
afterAll(() => rm(dir, { recursive: true, force: true }));

it.skipIf(!hasMosquitto)(
  `a loop of a thousand commands arrives in order, read and handled${hasMosquitto ? '' : `: ${withoutMosquitto}`}`,
  async () => {
    const broker = await startMosquitto();
    try {
      await countAcross(dir, broker.url, 1000);
    } finally {
      await broker.stop();
    }
  },
  15 * MINUTE,
);
