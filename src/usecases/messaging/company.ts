/**
 * Who the peers are: everybody whom the roster takes for a member, and those whose additions have lost their
 * force. When the roster changes they come and go, in the commit that changes it.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import type { AgreementKey } from '../../entities/keys.ts';
import { pairContext } from '../../entities/pair-keys.ts';
import { circleMembers } from '../../entities/roster/circle.ts';
import type { Roster, RosterDevice } from '../../entities/roster/roster.ts';
import type { LogChange } from '../membership/mesh-log.ts';
import type { PairRecord } from '../ports/records.ts';
import type { GroupReading } from './group-reading.ts';
import type { GroupSending } from './group-sending.ts';
import type { Office } from './office.ts';
import type { Outbox } from './outbox.ts';
import { newPeer, type Peer } from './peer.ts';
import type { Ratchets } from './ratchets.ts';
import { pairChanged } from './sealing.ts';

/** The peers as a store has them, before anything runs. */
export async function loadPeers(
  office: Pick<Office, 'hash' | 'mesh' | 'self' | 'keystore'>,
  roster: Roster,
): Promise<Map<DeviceId, Peer>> {
  const peers = new Map<DeviceId, Peer>();
  for (const device of roster.devices.values()) {
    const standing = standingOf(device);
    if (standing === undefined || device.id === office.self.id) continue;
    peers.set(device.id, makePeer(office, device, standing, await office.keystore.read('pair', device.id)));
  }
  return peers;
}

function standingOf({ status }: RosterDevice): Peer['standing'] | undefined {
  return status === 'member' || status === 'void' ? status : undefined;
}

function makePeer(
  { hash, mesh, self }: Pick<Office, 'hash' | 'mesh' | 'self'>,
  device: RosterDevice,
  standing: Peer['standing'],
  record: PairRecord | undefined,
): Peer {
  const contexts = {
    outContext: pairContext(hash, mesh, self, device),
    inContext: pairContext(hash, mesh, device, self),
  };
  return newPeer(device, contexts, standing, record);
}

export interface Company {
  grown(change: LogChange): void;
  /** Hands over the one-time keys that were exchanged while the device was paired with this one. */
  welcome(device: DeviceId, keys: ExchangedKeys): void;
}

export interface ExchangedKeys {
  readonly theirKeys: readonly AgreementKey[];
  readonly ourKeys: readonly AgreementKey[];
}

export interface CompanyParts {
  readonly office: Office;
  /** The same that the office shows. */
  readonly peers: Map<DeviceId, Peer>;
  readonly ratchets: Ratchets;
  readonly outbox: Outbox;
  readonly groupSending: Pick<GroupSending, 'grown'>;
  readonly groupReading: Pick<GroupReading, 'discharge'>;
  readonly greet: (peer: Peer) => void;
}

export function createCompany(parts: CompanyParts): Company {
  const { office, peers, ratchets, outbox, groupSending, groupReading, greet } = parts;
  const burn = (keys: readonly AgreementKey[]): void => {
    if (keys.length === 0) return;
    for (const key of keys) office.account.burnOneTimeKey(key);
    office.accountChanged();
  };

  /**
   * All that was shared with it goes in one step: what it sends can no longer be opened, and nothing can be sent
   * to it, whatever of it is still under way somewhere.
   */
  function discharge(peer: Peer): void {
    peer.gone = true;
    for (const { id } of peer.sessions.sessions) ratchets.drop(id);
    for (const keys of peer.envelopeKeys.values()) {
      keys.in.wipe();
      keys.out.wipe();
    }
    peer.envelopeKeys.clear();
    burn(peer.ourKeys);
    outbox.abandon(peer);
    groupReading.discharge(peer.id);
    peer.contact.cancelRetry?.();
    peer.contact.cancelRetry = undefined;
    peer.contact.requestNonce = undefined;
    peer.early.clear();
    pairChanged(office, peer);
    peers.delete(peer.id);
  }

  return {
    grown({ before, now }) {
      groupSending.grown(before, now);
      for (const device of now.devices.values()) {
        if (device.id === office.self.id) continue;
        const standing = standingOf(device);
        const peer = peers.get(device.id);
        if (standing === undefined) {
          if (peer !== undefined) discharge(peer);
        } else if (peer === undefined) {
          const fresh = makePeer(office, device, standing, undefined);
          peers.set(device.id, fresh);
          pairChanged(office, fresh);
          greet(fresh);
        } else if (peer.standing !== standing) {
          peer.standing = standing;
          greet(peer);
        }
      }
      outbox.withdraw((device, circle) => circleMembers(now, circle).has(device));
    },

    welcome(device, { theirKeys, ourKeys }) {
      const peer = peers.get(device);
      if (peer === undefined) return burn(ourKeys);
      burn(peer.ourKeys.filter((key) => !ourKeys.includes(key)));
      peer.theirKeys = [...theirKeys];
      peer.ourKeys = [...ourKeys];
      pairChanged(office, peer);
    },
  };
}
