/** Devices, as people name them and as they are shown. */
import { type DeviceId, fingerprint } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import { isKind } from '../../entities/roster/entry.ts';
import type { RosterDevice } from '../../entities/roster/roster.ts';
import { findDevice } from '../../usecases/membership/find-device.ts';
import type { Json } from '../rpc/protocol.ts';
import type { ApiPorts } from './ports.ts';

type DevicePorts = Pick<ApiPorts, 'membership' | 'self' | 'messenger' | 'clock'>;

export const nameOf = (device: RosterDevice): string => device.name ?? device.id;

/** Throws `device-unknown` or `device-ambiguous`. */
export function deviceNamed({ membership }: Pick<DevicePorts, 'membership'>, text: string): RosterDevice {
  const found = findDevice(membership().roster, text);
  if ('ok' in found) return found.ok;
  if (found.refused === 'device-unknown') throw new MeshError('device-unknown', { text });
  const candidates = found.candidates.map((device) => `${device.id} (${nameOf(device)})`).join(', ');
  throw new MeshError('device-ambiguous', { text, candidates });
}

export function listDevices({ membership, self, messenger, clock }: DevicePorts): Json {
  const { roster, log, genesis } = membership();
  const addedAt = new Map<DeviceId, number>([[roster.founder, genesis.createdAt]]);
  for (const entry of log.values()) {
    if (!isKind(entry, 'add')) continue;
    const before = addedAt.get(entry.body.device);
    addedAt.set(entry.body.device, Math.min(before ?? Number.POSITIVE_INFINITY, entry.createdAt));
  }
  const peers = new Map(messenger.status().peers.map((peer) => [peer.deviceId, peer]));
  return [...roster.devices.values()].map((device) => {
    const peer = peers.get(device.id);
    const seen = peer?.lastHeard;
    return {
      deviceId: device.id,
      name: nameOf(device),
      self: device.id === self,
      status: device.status === 'removed' ? 'revoked' : device.status,
      fingerprint: fingerprint(device.id),
      addedBy: device.addedBy[0] ?? null,
      addedAt: addedAt.get(device.id) ?? null,
      // It is kept in running time; what is shown is when that was by our clock.
      lastSeenAt: seen === undefined ? null : Math.round(clock.now() - (clock.elapsed() - seen)),
      pending: peer?.waiting ?? 0,
    };
  });
}
