/** What a person does about the membership: remove a device, leave, take another name. */
import type { Hash } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { type DeviceName, type NameRefusal, parseDeviceName } from '../../entities/device-name.ts';
import type { Result } from '../../entities/result.ts';
import { compose, confirmationsOf, preview, revocation } from '../../entities/roster/compose.ts';
import { type EntryHash, isKind, REPLACES_MAX, type RevokeReason } from '../../entities/roster/entry.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import type { RosterDevice } from '../../entities/roster/roster.ts';
import type { MeshLog } from './mesh-log.ts';

export type WriteRefusal =
  /** This device was put back to an older state and has not yet got back what it wrote. */
  | 'device-behind'
  /** What it writes now would have no force for anybody. */
  | 'device-void';

export interface Consequences {
  /** Devices whose additions would lose their force with it. */
  readonly voided: readonly RosterDevice[];
  /** All that the target has added. */
  readonly added: readonly RosterDevice[];
}

export interface Standing {
  readonly confirmed: readonly DeviceId[];
  readonly awaited: readonly DeviceId[];
}

export interface Administration {
  consequences(target: DeviceId): Consequences;
  revoke(
    target: DeviceId,
    reason: RevokeReason,
  ): Result<EntryHash, 'device-void' | 'device-self' | 'already-removed'>;
  /** Who has applied the removal of a device, of those who are to. */
  standing(target: DeviceId): Standing;
  leave(): EntryHash;
  rename(name: string): Result<DeviceName, WriteRefusal | NameRefusal>;
}

export interface AdministrationParts {
  readonly hash: Hash;
  readonly self: DeviceId;
  readonly log: MeshLog;
}

export function createAdministration({ hash, self, log }: AdministrationParts): Administration {
  const deviceOf = (id: DeviceId): RosterDevice | undefined => log.membership().roster.devices.get(id);

  const isMember = (): boolean => deviceOf(self)?.status === 'member';

  function refusal(): WriteRefusal | undefined {
    if (log.isBehind()) return 'device-behind';
    return isMember() ? undefined : 'device-void';
  }

  return {
    consequences(target) {
      const membership = log.membership();
      const { roster } = membership;
      // Only what the draft says matters here, not when it was written.
      const draft = compose(hash, membership, self, revocation(membership, target, 'other'), 0);
      const after = preview(hash, membership, draft);
      const others = [...roster.devices.values()].filter((device) => device.id !== target);
      const voided = others.filter(({ id, status }) => {
        return status === 'member' && after.devices.get(id)?.status === 'void';
      });
      return { voided, added: addedBy(membership, target) };
    },

    revoke(target, reason) {
      if (target === self) return { refused: 'device-self' };
      const status = deviceOf(target)?.status;
      if (status === 'removed' || status === 'left') return { refused: 'already-removed' };
      // Not even where this device is behind: who says that it is may be the very device that is to go.
      if (!isMember()) return { refused: 'device-void' };
      return { ok: log.write(revocation(log.membership(), target, reason)).hash };
    },

    standing(target) {
      const membership = log.membership();
      const removals = deviceOf(target)?.revocations ?? [];
      const standings = removals.map((removal) => confirmationsOf(membership, removal));
      // One removal is enough, whichever of several it was that a member heard of first.
      const confirmed = new Set(standings.flatMap((standing) => standing.confirmed));
      const members = [...membership.roster.members].sort();
      return {
        confirmed: members.filter((id) => confirmed.has(id)),
        awaited: members.filter((id) => !confirmed.has(id)),
      };
    },

    // Always: it takes away nothing but the device itself.
    leave: () => log.write({ kind: 'leave' }).hash,

    rename(text) {
      const name = parseDeviceName(text);
      if ('refused' in name) return name;
      const refused = refusal();
      if (refused !== undefined) return { refused };
      const own = deviceOf(self);
      if (own?.name === name.ok) return name;
      // Any member may have named this device any number of times, and one entry replaces no more than so many.
      const namings = [...(own?.namings ?? [])];
      do {
        const replaces = namings.splice(0, REPLACES_MAX);
        log.write({ kind: 'rename', target: self, name: name.ok, replaces });
      } while (namings.length > 0);
      return name;
    },
  };
}

function addedBy({ log, roster }: Membership, author: DeviceId): RosterDevice[] {
  const found = new Set<RosterDevice>();
  for (const entry of log.values()) {
    if (!isKind(entry, 'add') || entry.author.id !== author) continue;
    const device = roster.devices.get(entry.body.device);
    if (device !== undefined) found.add(device);
  }
  return [...found];
}
