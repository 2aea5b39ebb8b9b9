/**
 * Two hosts on one machine: network namespaces with a cable between them, so that what passes from one device to
 * the other passes a real network. Needs root on Linux and iproute2.
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = (...words: string[]): Promise<unknown> => run('ip', words);

/** With their keywords in front: iproute2 reads a short name as the beginning of one of its own words. */
const cable = (near: string, far: string): string[] => [
  'link',
  'add',
  'name',
  near,
  'type',
  'veth',
  'peer',
  'name',
  far,
];

export const hasNamespaces = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const name = `mesh-try-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    execFileSync('ip', ['-n', name, ...cable('end0', 'end1')], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    try {
      execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
    } catch {
      // It was never made.
    }
  }
})();
export const withoutNamespaces = 'no network namespaces here (they need root, Linux and iproute2)';

export interface NetworkHost {
  readonly address: string;
  /** The words before a program and its own, to run it on this host. */
  readonly exec: readonly string[];
}

export interface Cable {
  readonly near: NetworkHost;
  readonly far: NetworkHost;
  /** The hosts and all between them are gone; what still runs there loses its network. */
  remove(): Promise<void>;
}

export async function layCable(): Promise<Cable> {
  const names = ['near', 'far'].map((end) => `mesh-${process.pid}-${randomInt(1e6)}-${end}`);
  const [near = '', far = ''] = names;
  const remove = async (): Promise<void> => {
    for (const name of names) await ip('netns', 'del', name).catch(() => undefined);
  };
  // Both ends live in their namespaces from the start, so the same net may be in use elsewhere on this machine.
  const net = `10.231.${randomInt(256)}.${randomInt(64) * 4}`.split('.');
  const address = (host: number): string => [...net.slice(0, 3), Number(net[3]) + host].join('.');
  try {
    for (const name of names) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip('-n', near, ...cable('eth0', 'eth0'), 'netns', far);
    for (const [index, name] of names.entries()) {
      await ip('-n', name, 'address', 'add', `${address(index + 1)}/30`, 'dev', 'eth0');
      await ip('-n', name, 'link', 'set', 'eth0', 'up');
    }
  } catch (error) {
    await remove();
    throw error;
  }
  const host = (name: string, index: number): NetworkHost => ({
    address: address(index + 1),
    exec: ['ip', 'netns', 'exec', name],
  });
  return { near: host(near, 0), far: host(far, 1), remove };
}
