/** The local API: every command of the command line is one of these. */
import { toHex } from '../../entities/bytes.ts';
import { MeshError } from '../../entities/errors.ts';
import { MESSAGE_ID_BYTES } from '../../entities/wire/records.ts';
import type { MethodTable } from '../rpc/server.ts';
import { keyMethods, settingMethods, statusMethod } from './administration.ts';
import { listDevices } from './devices.ts';
import { doctorMethod } from './doctor.ts';
import { groupMethods } from './groups.ts';
import { membershipMethods } from './membership.ts';
import { cancelMethod, outboxMethod, sendMethod } from './messages.ts';
import { invitingMethods, joiningMethods } from './pairing.ts';
import type { ApiPorts } from './ports.ts';
import { createReaders } from './readers.ts';

/** Grows when a method changes what it meant before; additions leave it as it is. */
export const API_VERSION = 1;

export function createMethods(ports: ApiPorts): MethodTable {
  const readers = createReaders(ports);
  return {
    ...readers.methods,
    ...settingMethods(ports),
    ...keyMethods(ports),
    ...statusMethod(ports, readers),
    ...membershipMethods(ports),
    ...groupMethods(ports),
    ...invitingMethods(ports),
    ...joiningMethods(ports),
    send: sendMethod(ports),
    cancel: cancelMethod(ports),
    outbox: outboxMethod(ports),
    doctor: doctorMethod(ports),
    async devices() {
      return listDevices(ports);
    },
    /**
     * The first thing to ask: whether anybody answers, and in which version of this API. `freshId` is an id for
     * a message, so that a caller without random numbers of its own can repeat its call without harm.
     */
    async hello() {
      const freshId = toHex(ports.randomness(MESSAGE_ID_BYTES));
      return { api: API_VERSION, version: ports.version, freshId };
    },
    /** For a daemon that starts while a one-shot command has the store. */
    async handover() {
      const { host, home, pid } = ports;
      if (host === 'daemon') throw new MeshError('daemon-running', { home, pid });
      ports.handOver();
      return null;
    },
  };
}
