import type { Branded } from './bytes.ts';

/** The hash of the entry that began the mesh: 32 bytes. */
export type MeshId = Branded<'mesh id'>;

export const MESH_ID_BYTES = 32;
