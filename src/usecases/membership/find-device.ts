/** Which device a person means: by its id, by the first characters of the id, or by its name. */
import type { DeviceId } from '../../entities/device-id.ts';
import type { Roster, RosterDevice } from '../../entities/roster/roster.ts';

export const SHORTEST_PREFIX = 6;

export type FoundDevice =
  | { readonly ok: RosterDevice }
  | { readonly refused: 'device-unknown' }
  | { readonly refused: 'device-ambiguous'; readonly candidates: readonly RosterDevice[] };

/** A member comes before a former one of the same name; an id, whole or in part, comes before any name. */
export function findDevice(roster: Roster, text: string): FoundDevice {
  const devices = [...roster.devices.values()];
  const id = text.replaceAll(' ', '').toLowerCase();
  const exact = roster.devices.get(id as DeviceId);
  if (exact !== undefined) return { ok: exact };
  if (id.length >= SHORTEST_PREFIX) {
    const beginning = devices.filter((device) => device.id.startsWith(id));
    if (beginning.length > 0) return oneOf(beginning);
  }
  const name = text.normalize('NFC');
  const named = devices.filter((device) => device.name === name);
  const members = named.filter((device) => device.status === 'member');
  return oneOf(members.length > 0 ? members : named);
}

function oneOf(candidates: readonly RosterDevice[]): FoundDevice {
  const [first, second] = candidates;
  if (first === undefined) return { refused: 'device-unknown' };
  return second === undefined ? { ok: first } : { refused: 'device-ambiguous', candidates };
}
