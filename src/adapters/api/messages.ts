/** Sending, and looking after what was sent. */
import { fromHex, toHex } from '../../entities/bytes.ts';
import { type Hash, labelledHash } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import { MeshError } from '../../entities/errors.ts';
import { type Circle, EVERYBODY } from '../../entities/roster/circle.ts';
import { utf8 } from '../../entities/text.ts';
import { MAX_PAYLOAD_BYTES } from '../../entities/wire/items.ts';
import { MAX_TYPE_CHARACTERS, MESSAGE_ID_BYTES } from '../../entities/wire/records.ts';
import { GROUP_SIGN, groupTitle } from '../../usecases/membership/find-group.ts';
import type { Receipt, SendRefusal } from '../../usecases/messaging/messenger.ts';
import type { Delivery } from '../../usecases/messaging/outbox.ts';
import type { Json, JsonObject } from '../rpc/protocol.ts';
import type { Method } from '../rpc/server.ts';
import { deviceNamed } from './devices.ts';
import { circleNamed } from './groups.ts';
import { flag, optionalBytes, optionalChoice, optionalCount, optionalText, text } from './params.ts';
import type { ApiPorts } from './ports.ts';

export const WAITS = ['accepted', 'published', 'delivered'] as const;
export type Wait = (typeof WAITS)[number];

/** What a one-shot command gives the broker when the caller said nothing about it. */
const ONE_SHOT_PATIENCE = 5000;
const MOST_ID_CHARACTERS = 256;

/** 32 hexadecimal digits stand for themselves; any other text for its hash, so callers name messages freely. */
export function messageId(hash: Hash, id: string): Uint8Array {
  if (id.length === 0 || id.length > MOST_ID_CHARACTERS) throw new MeshError('message-id-invalid');
  const bytes = /^[0-9a-f]{32}$/.test(id) ? fromHex(id) : undefined;
  return bytes ?? labelledHash(hash, 'message id v1', utf8(id)).slice(0, MESSAGE_ID_BYTES);
}

export function sendMethod(ports: ApiPorts): Method {
  const { messenger, hash, base64, clock, host, line } = ports;
  return async (params) => {
    const began = clock.elapsed();
    const target = text(params, 'target');
    const inline = optionalText(params, 'text');
    const payload = inline === undefined ? optionalBytes(params, 'data', base64.decode) : utf8(inline);
    if (payload === undefined) throw new MeshError('rpc-params-invalid', { name: 'text' });
    const id = optionalText(params, 'id');
    const type = optionalText(params, 'type');
    const thread = optionalText(params, 'thread');
    const ttl = optionalCount(params, 'ttl');
    const asked = optionalChoice(params, 'wait', WAITS);
    const wanted = asked ?? (host === 'daemon' ? 'accepted' : 'published');
    const patience =
      optionalCount(params, 'timeout') ?? (asked === undefined ? ONE_SHOT_PATIENCE : undefined);

    await ports.online();
    const result = await messenger.send({
      to: recipients(ports, target),
      payload,
      ...(id === undefined ? {} : { id: messageId(hash, id) }),
      ...(type === undefined ? {} : { type }),
      ...(thread === undefined ? {} : { thread }),
      ...(ttl === undefined ? {} : { ttl }),
    });
    if ('refused' in result) throw refusal(result.refused, target);
    const left = patience === undefined ? undefined : Math.max(0, patience - (clock.elapsed() - began));
    const receipt = await reaching(ports, result.ok, wanted, left);
    const { error, permanent } = line.state();
    return {
      ...describe(receipt),
      wanted,
      standing: standing(receipt, wanted),
      /** The caller did not ask to wait, so that it is not there yet is no failure. */
      asked: asked !== undefined,
      /** What it takes besides a broker: a member that has shown what it knows. */
      notSynchronised: !messenger.status().fresh,
      brokerError: permanent && error !== undefined ? { code: error.code, data: error.data } : null,
    };
  };
}

/** Whom a message is for: `all`, a group after its sign, or a device that is a member and not this one. */
function recipients(ports: ApiPorts, text: string): readonly DeviceId[] | Circle {
  // Before any device: one may be called so.
  if (text === EVERYBODY || text.startsWith(GROUP_SIGN)) return circleNamed(ports, text);
  const device = deviceNamed(ports, text);
  if (device.id === ports.self) throw new MeshError('device-self', { text });
  if (device.status !== 'member') throw new MeshError('device-not-member', { text });
  return [device.id];
}

function refusal(reason: SendRefusal, target: string): MeshError {
  switch (reason) {
    case 'payload-too-large':
      return new MeshError(reason, { most: MAX_PAYLOAD_BYTES });
    case 'label-too-long':
      return new MeshError(reason, { most: MAX_TYPE_CHARACTERS });
    case 'unknown-recipient':
      return new MeshError('device-not-member', { text: target });
    case 'unknown-group':
      return new MeshError('group-unknown', { text: target });
    default:
      return new MeshError(reason);
  }
}

/** Until the message is where the caller wants it, cannot get there, or the time is up. */
function reaching(
  { messenger, clock, line }: ApiPorts,
  first: Receipt,
  wanted: Wait,
  patience: number | undefined,
): Promise<Receipt> {
  if (standing(first, wanted) !== 'open') return Promise.resolve(first);
  return new Promise((resolve, reject) => {
    const key = toHex(first.id);
    let cancel = (): void => undefined;
    const end = (): void => {
      cancel();
      stopNews();
      stopWatch();
      messenger.delivery(first.id).then((now) => resolve(now ?? first), reject);
    };
    const look = (): void => {
      messenger.delivery(first.id).then((now) => {
        if (now !== undefined && standing(now, wanted) !== 'open') end();
      }, reject);
    };
    const stopNews = messenger.listen((news) => {
      if (news.kind === 'delivery' && toHex(news.id) === key) look();
    });
    const watch = (): void => {
      if (line.state().permanent) end();
    };
    const stopWatch = line.watch(watch);
    if (patience !== undefined) cancel = clock.after(patience, end);
    look();
    watch();
  });
}

const RANK = { accepted: 0, published: 1, delivered: 2 } as const;

/** `failed` as soon as one recipient will never get it and no other is open any more. */
export function standing(receipt: Receipt, wanted: Wait): 'reached' | 'failed' | 'open' {
  const isOpen = receipt.to.some(
    ({ state }) => (state === 'accepted' || state === 'published') && RANK[state] < RANK[wanted],
  );
  if (isOpen) return 'open';
  const lost = receipt.to.some(({ state }) => !(state in RANK));
  return lost ? 'failed' : 'reached';
}

export function describe(receipt: Receipt): { readonly id: string; readonly to: readonly JsonObject[] } {
  return {
    id: toHex(receipt.id),
    to: receipt.to.map(({ deviceId, state, mayHaveArrived, reason }) => ({
      deviceId,
      state,
      ...(mayHaveArrived ? { mayHaveArrived } : {}),
      ...(reason === null ? {} : { reason }),
    })),
  };
}

export function cancelMethod({ messenger, hash }: ApiPorts): Method {
  return async (params) => {
    const id = text(params, 'id');
    const result = await messenger.cancel(messageId(hash, id));
    if ('refused' in result) throw new MeshError('message-unknown', { id });
    return describe(result.ok);
  };
}

export function outboxMethod({ messenger, membership, line }: ApiPorts): Method {
  return async (params) => {
    const { peers, fresh } = messenger.status();
    const errors = new Map(peers.map((peer) => [peer.deviceId, peer.lastError]));
    const { broker, error } = line.state();
    /** Why it is not there yet: the nearest reason first. Nothing holds up what has ended. */
    const lastError = ({ deviceId, state, reason }: Delivery): string | null => {
      if (!(state in RANK) || state === 'delivered') return reason;
      const unreached = broker === undefined ? error?.code : undefined;
      return reason ?? unreached ?? errors.get(deviceId) ?? (fresh ? null : 'not-synchronised');
    };
    const open = messenger.outbox();
    const waiting = new Set(open.map((receipt) => toHex(receipt.id)));
    const ended = flag(params, 'all') ? await messenger.ended() : [];
    const all = [...ended.filter((receipt) => !waiting.has(toHex(receipt.id))), ...open];
    return all.map((receipt): Json => {
      const each = receipt.to.map((one) => ({ attempts: one.attempts, lastError: lastError(one) }));
      const { id, to } = describe(receipt);
      return {
        id,
        group: receipt.group === null ? null : groupTitle(membership(), receipt.group),
        to: to.map((one, index) => ({ ...one, ...each[index] })),
        sentAt: receipt.sentAt,
        attempts: Math.max(0, ...each.map(({ attempts }) => attempts)),
        lastError: each.find((one) => one.lastError !== null)?.lastError ?? null,
      };
    });
  };
}
