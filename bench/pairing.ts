/** How long a person waits between the link at the new device and a mesh that knows it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort } from '../test/brokers/loopback.ts';
import { makeMesh } from '../test/process/make-mesh.ts';
import { as, compile, MeshProcess, mesh, up } from '../test/process/mesh-process.ts';
import { joining, place } from '../test/process/pairing-cast.ts';
import { inTurn, type Row } from './rows.ts';

const ROUNDS = 7;
const LINK_TO_MEMBER = 2000;

export async function pairingRows(): Promise<Row[]> {
  await compile();
  const dir = mkdtempSync(join(tmpdir(), 'mesh-bench-'));
  const running: MeshProcess[] = [];
  try {
    const embeddedPort = await freePort();
    const [inviter, ...others] = await makeMesh({ count: 3, dir, embeddedPort });
    if (inviter === undefined) throw new Error('three were asked for');
    running.push(await up(inviter, '--embedded-broker', `127.0.0.1:${embeddedPort}`));
    for (const other of others) running.push(await up(other));
    let round = 0;

    /** Everybody removes it again, so that each round finds a mesh of three. */
    const fromLinkToMember = async (): Promise<number> => {
      const newcomer = place(dir, `newcomer ${round++}`);
      const invite = new MeshProcess(['invite', ...as(inviter)]);
      const { link } = await invite.saw('invite');
      const began = performance.now();
      const join = joining(newcomer, String(link), '--name', newcomer.name);
      const { code } = await join.saw('code');
      const approve = new MeshProcess(['approve', '--code', String(code), ...as(inviter)]);
      const { deviceId } = await join.saw('joined');
      const isListed = ({ events }: MeshProcess): boolean =>
        events.some(
          ({ event, deviceId: of, status }) =>
            event === 'membership' && of === deviceId && status === 'member',
        );
      await eventually(() => running.every(isListed), 'every member lists it');
      const took = performance.now() - began;
      for (const ended of await Promise.all([invite.ended(), join.ended(), approve.ended()])) {
        if (ended.status !== 0) throw new Error(ended.stdout + ended.stderr);
      }
      const gone = await mesh([
        'revoke',
        String(deviceId),
        '--yes',
        '--wait',
        '--timeout',
        '20s',
        ...as(inviter),
      ]);
      if (gone.status !== 0) throw new Error(gone.stdout + gone.stderr);
      return took;
    };

    const measured = await inTurn(ROUNDS, { pairing: fromLinkToMember });
    const name = 'link in, member everywhere, three devices on the loopback';
    return [{ name, unit: 'ms', ...measured.pairing, most: LINK_TO_MEMBER }];
  } finally {
    await Promise.all(running.map((one) => one.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}
