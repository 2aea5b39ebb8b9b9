/** Which group a person means, and what a group is called when it is shown. */
import { type DeviceName, type NameRefusal, parseDeviceName } from '../../entities/device-name.ts';
import type { Result } from '../../entities/result.ts';
import { type Circle, EVERYBODY, parseCircle } from '../../entities/roster/circle.ts';
import { type GroupId, isKind, type WrittenName } from '../../entities/roster/entry.ts';
import type { Group } from '../../entities/roster/groups.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import { type Naming, settledName } from '../../entities/roster/names.ts';
import type { Roster } from '../../entities/roster/roster.ts';
import { SHORTEST_PREFIX } from './find-device.ts';

/** Stands before the name of a group where a device could stand too. */
export const GROUP_SIGN = '@';

export type GroupNameRefusal = NameRefusal | 'group-name-reserved';

export type FoundGroup =
  | { readonly ok: Circle }
  | { readonly refused: 'group-unknown' }
  | { readonly refused: 'group-ambiguous'; readonly candidates: readonly Group[] };

/**
 * By its id, by the first characters of the id, or by its name. What may be the beginning of one group's id and the
 * name of another is not guessed at: whoever may make a group could find one whose id begins like another's name.
 * A whole id means one group, because none is known by a name that looks like one.
 */
export function findGroup({ groups }: Pick<Roster, 'groups'>, text: string): FoundGroup {
  const meant = withoutSign(text);
  if (meant === EVERYBODY) return { ok: EVERYBODY };
  const start = meant.length >= SHORTEST_PREFIX ? meant.toLowerCase() : undefined;
  const name = meant.normalize('NFC');
  const candidates = groups.filter((group) => {
    return shownName(group.name) === name || (start !== undefined && group.id.startsWith(start));
  });
  const [first, second] = candidates;
  if (first === undefined) return { refused: 'group-unknown' };
  return second === undefined ? { ok: first.id } : { refused: 'group-ambiguous', candidates };
}

/**
 * As for devices; besides, nothing that could be taken for everybody or for the id of another group, and no sign
 * in front, which what a person types may have.
 */
export function parseGroupName(text: string): Result<DeviceName, GroupNameRefusal> {
  const name = parseDeviceName(withoutSign(text));
  if ('refused' in name) return name;
  return isReserved(name.ok) ? { refused: 'group-name-reserved' } : name;
}

/** Its present name; of a group that is no more the one that it had last; its id where it has none to be shown. */
export function groupTitle(membership: Pick<Membership, 'log' | 'roster'>, circle: Circle): string {
  if (circle === EVERYBODY) return EVERYBODY;
  const group = membership.roster.groups.find(({ id }) => id === circle);
  return shownName(group === undefined ? lastName(membership, circle) : group.name) ?? circle;
}

/** The entries of others may hold a name that this device would not give. It is not shown. */
function shownName(name: WrittenName): string | undefined {
  return name === undefined || isReserved(name) ? undefined : name;
}

function lastName({ log, roster }: Pick<Membership, 'log' | 'roster'>, id: GroupId): WrittenName {
  const created = log.get(id);
  if (created === undefined || !isKind(created, 'group-create')) return undefined;
  const namings: Naming[] = [];
  for (const entry of log.values()) {
    if (!isKind(entry, 'group-rename') || entry.body.group !== id || !roster.standing.counts(entry)) continue;
    namings.push({ hash: entry.hash, name: entry.body.name, replaces: entry.body.replaces });
  }
  return settledName(namings, created.body.name);
}

const withoutSign = (text: string): string => (text.startsWith(GROUP_SIGN) ? text.slice(1) : text);

function isReserved(name: string): boolean {
  const folded = name.normalize('NFKC').toLowerCase();
  return folded.startsWith(GROUP_SIGN) || parseCircle(folded) !== undefined;
}
