/** What a device is called where nobody says: as its machine, as far as people may be shown that. */
import { hostname } from 'node:os';
import { type DeviceName, NAME_MAX_CHARACTERS, parseDeviceName } from '../../entities/device-name.ts';

const NAMELESS = 'device';

export function hostDeviceName(host = hostname()): DeviceName {
  // The first label is the machine's own; the others say where it stands.
  const label = host.split('.', 1)[0] ?? '';
  const shown = label.normalize('NFC').replace(/[^\p{L}\p{N}_-]+/gu, '-');
  const shortened = [...shown]
    .slice(0, NAME_MAX_CHARACTERS)
    .join('')
    .replace(/^-+|-+$/g, '');
  for (const name of [shortened, NAMELESS]) {
    const parsed = parseDeviceName(name);
    if ('ok' in parsed) return parsed.ok;
  }
  throw new Error('a plain word is no name of a device');
}
