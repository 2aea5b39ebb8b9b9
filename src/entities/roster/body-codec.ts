/** The bodies of entries as values of the wire. The number of fields of a known kind never changes. */
import type { Hash } from '../crypto.ts';
import { deriveDeviceId, deviceIdBytes } from '../device-id.ts';
import { type DeviceKeys, type KeyRefusal, parseDeviceKeys } from '../keys.ts';
import type { Result } from '../result.ts';
import type { Value } from '../wire/cbor.ts';
import {
  type Body,
  CONFIRM_APPLIED_MAX,
  CONFIRM_HEADS_MAX,
  GROUP_ADDS_MAX,
  GROUP_DEVICES_MAX,
  HASH_BYTES,
  hashBytes,
  KIND_NUMBERS,
  type KnownKind,
  REPLACES_MAX,
  type RevokeReason,
  SIGNATURE_BYTES,
} from './entry.ts';
import {
  readArray,
  readBytes,
  readDevice,
  readDevices,
  readHash,
  readHashes,
  readHashOrNull,
  readName,
  readNumber,
  writeDevices,
  writeHashes,
  writeName,
} from './fields.ts';

export type BodyRefusal = 'entry-malformed' | KeyRefusal;

const SALT_BYTES = 32;
const MALFORMED = { refused: 'entry-malformed' } as const;
const REASONS: readonly RevokeReason[] = ['lost', 'retired'];
const REASON_OTHER = 255;

const kindsByNumber = new Map<number, KnownKind>(
  (Object.keys(KIND_NUMBERS) as KnownKind[]).map((kind) => [KIND_NUMBERS[kind], kind]),
);

export function kindNumber(body: Body): number {
  return body.kind === 'unknown' ? body.number : KIND_NUMBERS[body.kind];
}

export function encodeBody(body: Body): Value {
  switch (body.kind) {
    case 'genesis':
      return [body.keys.signing, body.keys.agreement, writeName(body.name), body.salt];
    case 'add':
      return [body.keys.signing, body.keys.agreement, writeName(body.name), body.transcript, body.consent];
    case 'revoke':
      return [
        deviceIdBytes(body.target),
        body.cut === null ? null : hashBytes(body.cut),
        body.reason === 'other' ? REASON_OTHER : REASONS.indexOf(body.reason),
      ];
    case 'leave':
      return [];
    case 'confirm':
      return [writeHashes(body.applied), writeHashes(body.heads)];
    case 'rename':
      return [deviceIdBytes(body.target), writeName(body.name), writeHashes(body.replaces)];
    case 'group-create':
      return [writeName(body.name)];
    case 'group-add':
      return [hashBytes(body.group), writeDevices(body.devices)];
    case 'group-remove':
      return [hashBytes(body.group), writeDevices(body.devices), writeHashes(body.adds)];
    case 'group-rename':
      return [hashBytes(body.group), writeName(body.name), writeHashes(body.replaces)];
    case 'group-delete':
      return [hashBytes(body.group)];
    case 'unknown':
      return body.value;
    default: {
      const unreachable: never = body;
      return unreachable;
    }
  }
}

export function decodeBody(hash: Hash, number: number, value: Value): Result<Body, BodyRefusal> {
  const kind = kindsByNumber.get(number);
  if (kind === undefined) return { ok: { kind: 'unknown', number, value } };
  switch (kind) {
    case 'genesis':
      return decodeGenesis(value);
    case 'add':
      return decodeAdd(hash, value);
    case 'revoke':
      return orMalformed(decodeRevoke(value));
    case 'leave':
      return readArray(value, 0) === undefined ? MALFORMED : { ok: { kind } };
    case 'confirm':
      return orMalformed(decodeConfirm(value));
    case 'rename':
      return orMalformed(decodeRename(value));
    case 'group-create': {
      const name = readName(readArray(value, 1)?.[0]);
      return name === 'refused' ? MALFORMED : { ok: { kind, name } };
    }
    case 'group-add':
      return orMalformed(decodeGroupAdd(value));
    case 'group-remove':
      return orMalformed(decodeGroupRemove(value));
    case 'group-rename':
      return orMalformed(decodeGroupRename(value));
    case 'group-delete': {
      const group = readHash(readArray(value, 1)?.[0]);
      return group === undefined ? MALFORMED : { ok: { kind, group } };
    }
    default: {
      const unreachable: never = kind;
      return unreachable;
    }
  }
}

function orMalformed(body: Body | undefined): Result<Body, 'entry-malformed'> {
  return body === undefined ? MALFORMED : { ok: body };
}

function decodeKeys(
  signing: Value | undefined,
  agreement: Value | undefined,
): Result<DeviceKeys, BodyRefusal> {
  if (!(signing instanceof Uint8Array) || !(agreement instanceof Uint8Array)) return MALFORMED;
  return parseDeviceKeys(signing, agreement);
}

function decodeGenesis(value: Value): Result<Body, BodyRefusal> {
  const fields = readArray(value, 4);
  const name = readName(fields?.[2]);
  const salt = readBytes(fields?.[3], SALT_BYTES);
  if (name === 'refused' || salt === undefined) return MALFORMED;
  const keys = decodeKeys(fields?.[0], fields?.[1]);
  return 'refused' in keys ? keys : { ok: { kind: 'genesis', keys: keys.ok, name, salt } };
}

function decodeAdd(hash: Hash, value: Value): Result<Body, BodyRefusal> {
  const fields = readArray(value, 5);
  const name = readName(fields?.[2]);
  const transcript = readBytes(fields?.[3], HASH_BYTES);
  const consent = readBytes(fields?.[4], SIGNATURE_BYTES);
  if (name === 'refused' || transcript === undefined || consent === undefined) return MALFORMED;
  const keys = decodeKeys(fields?.[0], fields?.[1]);
  if ('refused' in keys) return keys;
  const device = deriveDeviceId(hash, keys.ok);
  return { ok: { kind: 'add', device, keys: keys.ok, name, transcript, consent } };
}

/** A reason that is not known yet must not keep a revocation from being applied. */
function decodeRevoke(value: Value): Body | undefined {
  const fields = readArray(value, 3);
  const target = readDevice(fields?.[0]);
  const cut = readHashOrNull(fields?.[1]);
  const reason = readNumber(fields?.[2], REASON_OTHER);
  if (target === undefined || cut === undefined || reason === undefined) return undefined;
  return { kind: 'revoke', target, cut, reason: REASONS[reason] ?? 'other' };
}

function decodeConfirm(value: Value): Body | undefined {
  const fields = readArray(value, 2);
  const applied = readHashes(fields?.[0], 1, CONFIRM_APPLIED_MAX);
  const heads = readHashes(fields?.[1], 0, CONFIRM_HEADS_MAX);
  return applied === undefined || heads === undefined ? undefined : { kind: 'confirm', applied, heads };
}

function decodeRename(value: Value): Body | undefined {
  const fields = readArray(value, 3);
  const target = readDevice(fields?.[0]);
  const name = readName(fields?.[1]);
  const replaces = readHashes(fields?.[2], 0, REPLACES_MAX);
  if (target === undefined || name === 'refused' || replaces === undefined) return undefined;
  return { kind: 'rename', target, name, replaces };
}

function decodeGroupAdd(value: Value): Body | undefined {
  const fields = readArray(value, 2);
  const group = readHash(fields?.[0]);
  const devices = readDevices(fields?.[1], 1, GROUP_DEVICES_MAX);
  return group === undefined || devices === undefined ? undefined : { kind: 'group-add', group, devices };
}

function decodeGroupRemove(value: Value): Body | undefined {
  const fields = readArray(value, 3);
  const group = readHash(fields?.[0]);
  const devices = readDevices(fields?.[1], 1, GROUP_DEVICES_MAX);
  const adds = readHashes(fields?.[2], 1, GROUP_ADDS_MAX);
  if (group === undefined || devices === undefined || adds === undefined) return undefined;
  return { kind: 'group-remove', group, devices, adds };
}

function decodeGroupRename(value: Value): Body | undefined {
  const fields = readArray(value, 3);
  const group = readHash(fields?.[0]);
  const name = readName(fields?.[1]);
  const replaces = readHashes(fields?.[2], 0, REPLACES_MAX);
  if (group === undefined || name === 'refused' || replaces === undefined) return undefined;
  return { kind: 'group-rename', group, name, replaces };
}
