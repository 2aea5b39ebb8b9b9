/** A device that says something else than its program does: its parcels are changed before they are encrypted. */
import { decode, encode, type Value } from '../../../src/entities/wire/cbor.ts';
import { pad, unpad } from '../../../src/entities/wire/padding.ts';
import { decodeCore, encodeCore } from '../../../src/entities/wire/parcel.ts';

/** Rewrites the parcels that a device encrypts. */
export function rewriting(change: (parcel: readonly Value[], items: readonly Value[]) => readonly Value[]) {
  return (plaintext: Uint8Array): Uint8Array => {
    const core = decodeCore(plaintext);
    if ('refused' in core || !('inside' in core.ok)) throw new Error('only small parcels are rewritten');
    const decoded = decode(unpad(core.ok.inside) ?? new Uint8Array(0), { bytes: 1e6, depth: 9, items: 1e5 });
    if ('refused' in decoded || !Array.isArray(decoded.ok)) throw new Error('that is no parcel');
    const parcel = decoded.ok as readonly Value[];
    const items = parcel[3];
    if (!Array.isArray(items)) throw new Error('that is no parcel');
    return encodeCore(plaintext.slice(2, 18), { inside: pad(encode(change(parcel, items))) });
  };
}

export const withItems = (change: (items: readonly Value[]) => readonly Value[]) =>
  rewriting(([context = null, roster = null, secret = null], items) => [
    context,
    roster,
    secret,
    change(items),
  ]);
