/** Removing devices, leaving, and names. */

import { fingerprint } from '../../entities/device-id.ts';
import type { NameRefusal } from '../../entities/device-name.ts';
import { MeshError } from '../../entities/errors.ts';
import type { RosterDevice } from '../../entities/roster/roster.ts';
import { createAdministration, type WriteRefusal } from '../../usecases/membership/administer.ts';
import type { JsonObject } from '../rpc/protocol.ts';
import type { MethodTable } from '../rpc/server.ts';
import { deviceNamed, nameOf } from './devices.ts';
import { flag, optionalChoice, optionalCount, text } from './params.ts';
import type { ApiPorts } from './ports.ts';
import { caughtUp, HANDING_OVER, until } from './waiting.ts';

const REASONS = ['lost', 'retired'] as const;
/** How long a device that leaves waits for somebody to say so, unless told otherwise. */
const LEAVING = 30_000;

export function membershipMethods(ports: ApiPorts): MethodTable {
  const { self, hash, messenger } = ports;
  const administration = createAdministration({ hash, self, log: messenger.log });

  return {
    /** What a removal would do, for people to see before they decide. */
    async 'revoke.preview'(params) {
      const name = text(params, 'device');
      const device = deviceNamed(ports, name);
      if (device.id === self) throw refusal('device-self', name);
      const { voided, added } = administration.consequences(device.id);
      return { ...about(device), voided: voided.map(about), added: added.map(about) };
    },

    async revoke(params) {
      const name = text(params, 'device');
      const reason = optionalChoice(params, 'reason', REASONS) ?? 'retired';
      const wait = flag(params, 'wait');
      const patience = optionalCount(params, 'timeout');
      await ports.online();
      const device = deviceNamed(ports, name);
      await caughtUp(ports);
      const result = administration.revoke(device.id, reason);
      if ('refused' in result) {
        const again = result.refused === 'already-removed' && wait;
        if (!again) throw refusal(result.refused, name);
      }
      const confirmedByAll = (): boolean => administration.standing(device.id).awaited.length === 0;
      await messenger.settled();
      const all = wait ? await until(ports, confirmedByAll, patience) : confirmedByAll();
      if (!wait) await messenger.handedOver(HANDING_OVER);
      const { confirmed, awaited } = administration.standing(device.id);
      return { deviceId: device.id, name: nameOf(device), confirmed, unconfirmed: awaited, all, wait };
    },

    async rename(params) {
      const name = text(params, 'name');
      await ports.online();
      const result = administration.rename(name);
      if ('refused' in result) throw refusal(result.refused, name);
      await messenger.settled();
      await messenger.handedOver(HANDING_OVER);
      return { deviceId: self, name: result.ok };
    },

    /** Answered once the store may go: the host removes it when it ends. */
    async leave(params) {
      const force = flag(params, 'force');
      const patience = optionalCount(params, 'timeout') ?? LEAVING;
      const { farewell } = messenger;
      const others = [...messenger.log.membership().roster.members].filter((id) => id !== self);
      const wasRemoved = farewell.standing() === 'removed';
      if (!wasRemoved && others.length > 0) {
        await ports.online();
        if (farewell.standing() !== 'left') {
          await caughtUp(ports);
          administration.leave();
        }
        await messenger.settled();
        const heard = await until(
          ports,
          () => farewell.answered().length > 0,
          force ? HANDING_OVER : patience,
        );
        if (!heard && !force) throw new MeshError('leave-unheard');
      }
      ports.retire();
      return { deviceId: self, announced: !wasRemoved && others.length > 0 };
    },
  };
}

function about(device: RosterDevice): JsonObject {
  return { deviceId: device.id, name: nameOf(device), fingerprint: fingerprint(device.id) };
}

function refusal(
  reason: WriteRefusal | 'device-self' | 'already-removed' | NameRefusal,
  name: string,
): MeshError {
  switch (reason) {
    case 'device-self':
      return new MeshError('revoke-self', { text: name });
    case 'already-removed':
      return new MeshError('device-not-member', { text: name });
    default:
      return new MeshError(reason);
  }
}
