/** The store: opening it, and what a synced commit costs beside a bare synced batch of the same size. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLevel } from '../src/drivers/level/level-key-value.ts';
import { createKeystore, openKeystore } from '../src/drivers/node/open-keystore.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { makeKeyFile } from '../src/drivers/node/unlock.ts';
import type { Change } from '../src/usecases/ports/keystore.ts';
import { against, inTurn, type Row, time } from './rows.ts';

const CHANGES = [1, 16, 128];
const BYTES = 256;
const ROUNDS = 9;
const COMMITS = 20;

export async function storeRows(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const rows: Row[] = [];
  try {
    const unlock = await makeKeyFile(join(dir, 'key'), nodeRandomness);
    const home = join(dir, 'home');
    const { keystore } = await createKeystore(home, unlock);
    const level = await openLevel(join(dir, 'bare'), { create: true });
    let next = 0;
    for (const count of CHANGES) {
      const measured = await inTurn(ROUNDS, {
        commit: () =>
          time(COMMITS, () => {
            const put = Buffer.from(nodeRandomness(BYTES)).toString('latin1');
            const changes: Change[] = [];
            for (let i = 0; i < count; i++)
              changes.push({ kind: 'setting', key: String(next++ % 4096), put });
            return keystore.commit(changes);
          }),
        bare: () =>
          time(COMMITS, () => {
            const batch = Array.from({ length: count }, () => ({
              name: nodeRandomness(16),
              put: nodeRandomness(BYTES),
            }));
            return level.write(batch);
          }),
      });
      const beside = [against('a bare synced batch', measured.commit, measured.bare)];
      rows.push({ name: `synced commit of ${count}`, unit: 'µs', ...measured.commit, against: beside });
    }
    await level.close();
    await keystore.close();
    const opened = await inTurn(ROUNDS, {
      open: async () => {
        let store: Awaited<ReturnType<typeof openKeystore>> | undefined;
        const figure = await time(1, async () => {
          store = await openKeystore(home, unlock);
        });
        await store?.keystore.close();
        return figure / 1000;
      },
    });
    rows.push({ name: 'opening a store with a key file', unit: 'ms', ...opened.open });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return rows;
}
