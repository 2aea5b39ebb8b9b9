/** What a link shows by itself, before anything is asked of a broker. */
import { equal } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { meshIdBytes } from '../../entities/mesh-id.ts';
import { type InviteLink, LINK_MESH_BYTES } from '../../entities/pairing/link.ts';
import type { Membership } from '../../entities/roster/membership.ts';

export type LinkFault = 'invite-own' | 'already-in-mesh' | 'invite-expired' | 'join-removed';

export function checkLink(
  link: InviteLink,
  now: number,
  self: DeviceId,
  membership: Membership,
): LinkFault | undefined {
  if (link.inviter.id === self) return 'invite-own';
  const prefix = meshIdBytes(membership.mesh).subarray(0, LINK_MESH_BYTES);
  const status = membership.roster.devices.get(self)?.status;
  if (equal(prefix, link.mesh)) {
    if (status === 'removed' || status === 'left') return 'join-removed';
  } else if (!isAlone(membership)) {
    return 'already-in-mesh';
  }
  return now >= link.expiresAt ? 'invite-expired' : undefined;
}

/** Nobody else is in this device's mesh, so that nothing is lost with it. Devices that it removed do not count. */
export function isAlone({ roster }: Membership): boolean {
  return roster.members.size <= 1;
}
