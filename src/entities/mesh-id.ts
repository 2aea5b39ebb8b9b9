/** A mesh is named by its first entry, which nobody else can make again. */
import { fromHex, toHex } from './bytes.ts';

export const MESH_ID_BYTES = 32;

/** 64 lower-case hex characters. */
export type MeshId = string & { readonly __brand: 'mesh id' };

export function meshIdFromBytes(bytes: Uint8Array): MeshId | undefined {
  return bytes.length === MESH_ID_BYTES ? (toHex(bytes) as MeshId) : undefined;
}

export function meshIdBytes(id: MeshId): Uint8Array {
  const bytes = fromHex(id);
  if (bytes === undefined) throw new Error('a mesh id that does not decode was given a type');
  return bytes;
}
