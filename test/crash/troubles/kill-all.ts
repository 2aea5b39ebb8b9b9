import type { Trouble } from './trouble.ts';

/** The power of the whole house fails, whatever works there. */
export const killAll: Trouble = async ({ mesh }) => {
  const each = mesh.members.map(async ({ station }) => {
    return (await station.kill('daemon')) + (await station.kill('command'));
  });
  return (await Promise.all(each)).reduce((sum, count) => sum + count, 0);
};
