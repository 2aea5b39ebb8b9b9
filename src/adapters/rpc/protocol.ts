/**
 * JSON-RPC 2.0, one message a line. An error carries, besides JSON-RPC's number, the program's own code, its
 * hint and the exit status that the command line ends with.
 */
import { type ErrorCode, type ErrorData, explanations, MeshError } from '../../entities/errors.ts';
import { fromUtf8, utf8 } from '../../entities/text.ts';

/** 64 KiB of payload are 88 KiB in base64; the rest is room. */
export const MOST_LINE_BYTES = 256 * 1024;

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

export type RequestId = string | number | null;

export interface Request {
  /** Absent in a notification, which gets no answer. */
  readonly id: RequestId | undefined;
  readonly method: string;
  readonly params: JsonObject;
}

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data: {
    readonly code: ErrorCode;
    readonly hint: string;
    readonly exit: number;
    readonly data: ErrorData;
  };
}

const NUMBERS: Partial<Record<ErrorCode, number>> = {
  'rpc-parse': -32700,
  'rpc-invalid': -32600,
  'rpc-too-large': -32600,
  'rpc-unknown-method': -32601,
  'rpc-params-invalid': -32602,
  bug: -32603,
};
const OURS = -32000;

export function toRpcError(error: MeshError): RpcError {
  const { code, message, hint, exit, data } = error;
  return { code: NUMBERS[code] ?? OURS, message, data: { code, hint, exit, data } };
}

/** The other way round; a code that this version does not know becomes the nearest thing to it. */
export function fromRpcError(value: unknown): MeshError {
  const error = isObject(value) ? value : {};
  const inner = isObject(error.data) ? error.data : {};
  const code = inner.code;
  if (typeof code === 'string' && isErrorCode(code)) {
    return new MeshError(code, readData(inner.data));
  }
  return new MeshError('bug', { detail: typeof error.message === 'string' ? error.message : 'no reason' });
}

export function encodeLine(message: JsonObject): Uint8Array {
  return utf8(`${JSON.stringify(message)}\n`);
}

export const response = (id: RequestId, result: Json): JsonObject => ({ jsonrpc: '2.0', id, result });
export const failure = (id: RequestId, error: MeshError): JsonObject => {
  const { code, message, data } = toRpcError(error);
  return { jsonrpc: '2.0', id, error: { code, message, data: { ...data } } };
};
export const notification = (method: string, params: JsonObject): JsonObject => ({
  jsonrpc: '2.0',
  method,
  params,
});

export function parseLine(line: Uint8Array): JsonObject | undefined {
  const text = fromUtf8(line);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return undefined;
  }
}

/** A request as JSON-RPC has it, or what is wrong with it. Batches are not offered. */
export function readRequest(
  line: Uint8Array,
): Request | { readonly error: MeshError; readonly id: RequestId } {
  const message = parseLine(line);
  if (message === undefined) return { error: new MeshError('rpc-parse'), id: null };
  const id = readId(message.id);
  const { method, params = {} } = message;
  const broken = message.jsonrpc !== '2.0' || typeof method !== 'string' || method.length > 64;
  if (broken || (message.id !== undefined && id === undefined)) {
    return { error: new MeshError('rpc-invalid'), id: id ?? null };
  }
  if (!isObject(params)) {
    return { error: new MeshError('rpc-params-invalid', { name: 'params' }), id: id ?? null };
  }
  return { id, method, params };
}

function readId(value: Json | undefined): RequestId | undefined {
  if (value === null || typeof value === 'number') return value;
  return typeof value === 'string' && value.length <= 128 ? value : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(explanations, code);
}

function readData(value: Json | undefined): ErrorData {
  if (!isObject(value)) return {};
  const data: Record<string, string | number> = {};
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === 'string' || typeof item === 'number') data[key] = item;
  }
  return data;
}
