/** Whom one message may be for together: everybody, or those in a named group. */
import type { DeviceId } from '../device-id.ts';
import type { GroupId } from './entry.ts';
import type { Roster } from './roster.ts';

/** The built-in group of every member. */
export const EVERYBODY = 'all';

export type Circle = typeof EVERYBODY | GroupId;

const GROUP_ID = /^[0-9a-f]{64}$/;

export function parseCircle(text: string): Circle | undefined {
  return text === EVERYBODY || GROUP_ID.test(text) ? (text as Circle) : undefined;
}

/** Nobody, where there is no such group. */
export function circleMembers(
  roster: Pick<Roster, 'members' | 'groups'>,
  circle: Circle,
): ReadonlySet<DeviceId> {
  if (circle === EVERYBODY) return roster.members;
  return roster.groups.find((group) => group.id === circle)?.members ?? NOBODY;
}

const NOBODY: ReadonlySet<DeviceId> = new Set();
