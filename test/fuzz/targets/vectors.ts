/** The vectors of the protocol, to begin with: what is accepted, and what is nearly so. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject } from '../../../src/adapters/rpc/protocol.ts';
import { fromHex } from '../../../src/entities/bytes.ts';

/** Every text that stands in the file under this name, from wherever in it. */
export function textsIn(root: string, file: string, name: string): string[] {
  const json: unknown = JSON.parse(readFileSync(join(root, 'test/vectors', file), 'utf8'));
  const found: string[] = [];
  const look = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) look(item);
    if (!isObject(value)) return;
    for (const [key, item] of Object.entries(value)) {
      if (key === name && typeof item === 'string') found.push(item);
      else look(item);
    }
  };
  look(json);
  return found;
}

export function bytesIn(root: string, file: string, name: string): Uint8Array[] {
  return textsIn(root, file, name).flatMap((text) => fromHex(text) ?? []);
}
