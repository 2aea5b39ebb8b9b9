/** Settings, unlock slots, and how things stand. */

import { MeshError } from '../../entities/errors.ts';
import { Secret } from '../../entities/secret.ts';
import { WIRE_VERSION } from '../../entities/wire/envelope.ts';
import { SETTING_KEYS, type SettingRefusal, type SettingValue } from '../../usecases/settings.ts';
import { SLOT_KINDS } from '../keystore/slot.ts';
import type { Json } from '../rpc/protocol.ts';
import type { MethodTable } from '../rpc/server.ts';
import { nameOf } from './devices.ts';
import { count, optionalBytes, optionalChoice, text } from './params.ts';
import type { ApiPorts } from './ports.ts';
import type { Readers } from './readers.ts';

const SHOWN_INCIDENTS = 20;

export function settingMethods({ settings }: Pick<ApiPorts, 'settings'>): MethodTable {
  const answer = (key: string, result: { readonly ok: SettingValue } | SettingRefusal): Json => {
    if ('refused' in result) throw settingError(key, result);
    const { value, isSet, secret } = result.ok;
    return { key, value: value ?? null, isSet, secret };
  };
  return {
    async 'config.list'() {
      const all: Json[] = [];
      for (const key of SETTING_KEYS) all.push(answer(key, await settings.show(key)));
      return all;
    },
    async 'config.get'(params) {
      const key = text(params, 'key');
      return answer(key, await settings.show(key));
    },
    async 'config.set'(params) {
      const key = text(params, 'key');
      return answer(key, await settings.set(key, text(params, 'value')));
    },
    async 'config.unset'(params) {
      const key = text(params, 'key');
      return answer(key, await settings.unset(key));
    },
  };
}

export function settingError(key: string, { refused, detail = '' }: SettingRefusal): MeshError {
  return new MeshError(refused, { key, detail, known: SETTING_KEYS.join(', ') });
}

export function keyMethods({ slots }: Pick<ApiPorts, 'slots'>): MethodTable {
  const listed = (): Json => slots.list().map(({ number, kind }) => ({ number, kind }));
  return {
    async 'key.list'() {
      return listed();
    },
    async 'key.add'(params) {
      const kind = optionalChoice(params, 'kind', SLOT_KINDS);
      const secret = optionalBytes(params, 'secret');
      if (kind === undefined) throw new MeshError('rpc-params-invalid', { name: 'kind' });
      if (secret === undefined || secret.length === 0) {
        throw new MeshError('rpc-params-invalid', { name: 'secret' });
      }
      return { number: await slots.add({ kind, secret: new Secret(secret) }), kind };
    },
    async 'key.remove'(params) {
      const number = count(params, 'number');
      await slots.remove(number);
      return { number };
    },
  };
}

export function statusMethod(ports: ApiPorts, readers: Pick<Readers, 'status'>): MethodTable {
  const began = ports.clock.elapsed();
  return {
    async status() {
      const { self, membership, messenger, line, clock } = ports;
      const { roster, mesh } = membership();
      const { broker, error, permanent } = line.state();
      const now = messenger.status();
      const own = roster.devices.get(self);
      return {
        deviceId: self,
        name: own === undefined ? self : nameOf(own),
        meshId: mesh,
        home: ports.home,
        host: ports.host,
        pid: ports.pid,
        version: ports.version,
        protocol: WIRE_VERSION,
        uptime: Math.round(clock.elapsed() - began),
        broker: {
          connected: broker !== undefined,
          url: broker ?? (await ports.settings.get('broker')) ?? null,
          error: error?.code ?? null,
          message: error?.message ?? null,
          permanent,
        },
        members: roster.members.size,
        outbox: messenger.outbox().length,
        inbox: { ...now.inbox },
        peers: now.peers.map(({ deviceId, sessions, waiting, inFlight, lastError, withheldSince }) => ({
          deviceId,
          sessions,
          waiting,
          inFlight,
          lastError,
          /** It answers others, and nothing of it comes here. */
          withheldSince:
            withheldSince === undefined ? null : Math.round(clock.now() - (clock.elapsed() - withheldSince)),
        })),
        readers: readers.status().map((reader) => ({ ...reader })),
        refused: { ...now.counts },
        incidents: now.incidents.slice(-SHOWN_INCIDENTS).map((incident) => ({ ...incident })),
      };
    },
  };
}
