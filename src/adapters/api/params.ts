/** Reads the parameters of a request. Whatever is not as it should be throws `rpc-params-invalid`. */
import { fromBase64 } from '../../entities/bytes.ts';
import { MeshError } from '../../entities/errors.ts';
import { isWellFormed } from '../../entities/text.ts';
import type { JsonObject } from '../rpc/protocol.ts';
import type { Base64 } from './ports.ts';

const wrong = (name: string): MeshError => new MeshError('rpc-params-invalid', { name });

export function optionalText(params: JsonObject, name: string): string | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || !isWellFormed(value)) throw wrong(name);
  return value;
}

export function text(params: JsonObject, name: string): string {
  const value = optionalText(params, name);
  if (value === undefined) throw wrong(name);
  return value;
}

/** A list of them, empty where there is none. */
export function texts(params: JsonObject, name: string): readonly string[] {
  const values = params[name] ?? [];
  if (!Array.isArray(values)) throw wrong(name);
  return values.map((value: unknown) => {
    if (typeof value !== 'string' || !isWellFormed(value)) throw wrong(name);
    return value;
  });
}

export function optionalChoice<Choice extends string>(
  params: JsonObject,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const value = optionalText(params, name);
  const choice = choices.find((known) => known === value);
  if (value !== undefined && choice === undefined) throw wrong(name);
  return choice;
}

/** A whole number, 0 or more. */
export function optionalCount(params: JsonObject, name: string): number | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name);
  return value;
}

export function count(params: JsonObject, name: string): number {
  const value = optionalCount(params, name);
  if (value === undefined) throw wrong(name);
  return value;
}

export function flag(params: JsonObject, name: string): boolean {
  const value = params[name] ?? false;
  if (typeof value !== 'boolean') throw wrong(name);
  return value;
}

/** Base64, with its padding or without. */
export function optionalBytes(
  params: JsonObject,
  name: string,
  decode: Base64['decode'] = fromBase64,
): Uint8Array | undefined {
  const value = optionalText(params, name);
  if (value === undefined) return undefined;
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0;
  const bytes = decode(value.slice(0, value.length - padding));
  if (bytes === undefined) throw wrong(name);
  return bytes;
}
