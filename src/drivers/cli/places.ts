/** Where things are on this machine when nobody says otherwise. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const NAME = 'trusted-mesh';

export function homeDirectory(given: string | undefined): string {
  const chosen = given ?? nonEmpty(process.env.MESH_HOME);
  if (chosen !== undefined) return resolve(chosen);
  return join(base('XDG_DATA_HOME', ['.local', 'share'], ['Library', 'Application Support']), NAME);
}

/** Outside the data directory, so that a copy or backup of that one is of no use by itself. */
export function defaultKeyFile(home: string): string {
  const config = join(base('XDG_CONFIG_HOME', ['.config'], ['Library', 'Preferences']), NAME);
  return join(config, `key-${mark(home)}`);
}

/** Where systemd looks for the units of this person. */
export const userUnits = (): string =>
  join(nonEmpty(process.env.XDG_CONFIG_HOME) ?? join(homedir(), '.config'), 'systemd', 'user');

/** Each home has a unit of its own. */
export const serviceName = (home: string): string => `${NAME}-${mark(home)}.service`;

function mark(home: string): string {
  // Not at the top: a command that finds a daemon needs no key, and no cryptography either.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(home).digest('hex').slice(0, 16);
}

function base(variable: string, linux: readonly string[], mac: readonly string[]): string {
  if (process.platform === 'win32') {
    return nonEmpty(process.env.LOCALAPPDATA) ?? join(homedir(), 'AppData', 'Local');
  }
  if (process.platform === 'darwin') return join(homedir(), ...mac);
  return nonEmpty(process.env[variable]) ?? join(homedir(), ...linux);
}

export const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
