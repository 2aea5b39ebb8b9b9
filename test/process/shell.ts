/** The program under the hands of a shell: what a person would put into a script. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeshDevice } from './make-mesh.ts';
import { PROGRAM } from './mesh-process.ts';

export interface Shell {
  readonly child: ChildProcess;
  readonly ended: Promise<{
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

/** A directory with `mesh` in it, for PATH. */
export async function installed(dir: string): Promise<string> {
  const bin = join(dir, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'mesh'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  await chmod(join(bin, 'mesh'), 0o755);
  return bin;
}

/** Runs a script for which this device is the one that `mesh` means. */
export function shell(
  script: string,
  { home, keyFile }: Pick<MeshDevice, 'home' | 'keyFile'>,
  bin: string,
  extra: Readonly<Record<string, string>> = {},
): Shell {
  const env = {
    PATH: `${bin}:${process.env.PATH ?? ''}`,
    HOME: '/nonexistent',
    MESH_HOME: home,
    MESH_KEY_FILE: keyFile,
    ...extra,
  };
  const child = spawn('/bin/sh', ['-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Awaited<Shell['ended']>>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
  return { child, ended };
}
