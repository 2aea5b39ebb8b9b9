/**
 * Between two meshes. While a device joins another one it is in neither, so nothing else runs; and when it has
 * joined, or has not, all that was opened for the mesh before is out of date.
 */
import type { ApiPorts } from '../../adapters/api/ports.ts';
import type { MethodTable } from '../../adapters/rpc/server.ts';
import { parseDeviceName } from '../../entities/device-name.ts';
import { MeshError } from '../../entities/errors.ts';
import { loadMesh } from '../../usecases/membership/load-mesh.ts';
import type { Messenger } from '../../usecases/messaging/messenger.ts';
import { pendingJoin } from '../../usecases/pairing/joining.ts';
import { nodePrimitives } from '../node/primitives.ts';
import { type Attempt, beginJoin, type JoinParts, resumeJoin } from './join.ts';

export interface Crossing {
  readonly join: ApiPorts['join'];
  /** Goes on with a join that an earlier run has begun; `undefined` where there is none. */
  resume(): Promise<{ readonly ended: Promise<void> } | undefined>;
  /** Throws while nothing else can be done, and where everything has to be opened anew. */
  check(): void;
  readonly outdated: Promise<void>;
  /** All that was opened here is out of date for another reason. */
  end(): void;
  stop(): void;
}

export function createCrossing(parts: JoinParts, closeMesh: () => Promise<void>): Crossing {
  const { hash } = nodePrimitives;
  let attempt: Attempt | undefined;
  let began = false;
  let over = false;
  let end: () => void = () => undefined;
  const outdated = new Promise<void>((resolve) => {
    end = resolve;
  });

  function finish(): void {
    over = true;
    end();
  }

  return {
    outdated,
    end: finish,

    async join(link, options, told, onQuit) {
      if (began) throw new MeshError('device-joining');
      began = true;
      try {
        await closeMesh();
        const membership = await loadMesh(hash, parts.keystore);
        const given = parseDeviceName(parts.device.name);
        const own = membership.roster.devices.get(parts.device.self.id)?.name;
        const name = own ?? ('ok' in given ? given.ok : undefined);
        if (name === undefined) throw new MeshError('name-unprintable');
        const begun = await beginJoin(parts, link, name, options, told);
        attempt = begun;
        // Where this fails so does the attempt, and that is told of.
        onQuit(() => void begun.cancel().catch(() => undefined));
        return await begun.outcome;
      } finally {
        finish();
      }
    },

    async resume() {
      const pending = await pendingJoin(hash, parts.keystore);
      if (pending === undefined || began) return undefined;
      began = true;
      attempt = await resumeJoin(parts, pending, () => undefined);
      // How it ended is seen from what is in the store now.
      return { ended: attempt.outcome.then(finish, finish) };
    },

    check() {
      // Whoever asks again finds a host that was opened since.
      if (over) throw new MeshError('daemon-stopping');
      if (began) throw new MeshError('device-joining');
    },

    stop() {
      attempt?.stop();
    },
  };
}

/** What a device that was removed, or is on its way to another mesh, still answers. */
const ALWAYS = /^(?:hello|handover|status|devices|leave|doctor|join\.(?:look|cancel)|(?:config|key)\..*)$/;

export function guarded(
  methods: MethodTable,
  farewell: Messenger['farewell'],
  crossing: Pick<Crossing, 'check'>,
  /** What a removed device does before it says that it is one. */
  seeOff: () => Promise<void>,
): MethodTable {
  const guardedOnes = Object.entries(methods).map(([name, method]): [string, typeof method] => {
    if (ALWAYS.test(name)) return [name, method];
    return [
      name,
      async (params, caller) => {
        crossing.check();
        const standing = farewell.standing();
        if (standing === 'removed') {
          await seeOff();
          throw new MeshError('device-revoked');
        }
        if (standing === 'left') throw new MeshError('device-left');
        return method(params, caller);
      },
    ];
  });
  return Object.fromEntries(guardedOnes);
}
