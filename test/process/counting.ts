/**
 * One shell counts, message by message; at the other end one reader prints what it gets and another one runs a
 * command for each that fails one time in ten. All three have to agree.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { makeMesh } from './make-mesh.ts';
import { type MeshProcess, up } from './mesh-process.ts';
import { installed, shell } from './shell.ts';

export async function countAcross(dir: string, brokerUrl: string, count: number): Promise<void> {
  const [laptop, pi] = await makeMesh({ count: 2, dir, brokerUrl, names: ['laptop', 'pi'] });
  if (laptop === undefined || pi === undefined) throw new Error('two were asked for');
  const bin = await installed(dir);
  const numbers = Array.from({ length: count }, (_, i) => String(i + 1));
  const daemons: MeshProcess[] = [];
  try {
    daemons.push(await up(laptop), await up(pi));
    const [tries, log] = [join(dir, 'tries'), join(dir, 'log')];
    const command = [
      'read -r line || [ -n "$line" ]',
      `n=$(($(cat ${tries} 2>/dev/null || echo 0) + 1))`,
      `echo $n > ${tries}`,
      '[ $((n % 10)) -ne 0 ] || exit 9',
      `echo "$line" >> ${log}`,
    ].join('\n');
    const limits = `--count ${count} --timeout ${30 + count}s`;
    const printed = shell(`mesh listen --json ${limits}`, pi, bin);
    const handled = shell(`mesh listen --cursor commands ${limits} --exec "$COMMAND"`, pi, bin, {
      COMMAND: command,
    });
    const counted = shell(
      `seq 1 ${count} | while read -r i; do mesh send pi "$i" || exit 1; done`,
      laptop,
      bin,
    );
    expect(await counted.ended).toMatchObject({ status: 0, stderr: '' });
    const got = await printed.ended;
    expect(got.status, got.stderr).toBe(0);
    const lines = got.stdout.trim().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line).text)).toEqual(numbers);
    const ran = await handled.ended;
    expect(ran.status, ran.stderr).toBe(0);
    expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual(numbers);
    // It did fail, each time told of, and each failure was one more try.
    const failures = ran.stderr.trim().split('\n');
    expect(failures.length).toBe(Number(await readFile(tries, 'utf8')) - count);
    expect(failures.length).toBeGreaterThanOrEqual(Math.floor(count / 10));
    expect(new Set(failures)).toEqual(new Set(['mesh: the command ended with 9; trying again']));
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
  }
}
