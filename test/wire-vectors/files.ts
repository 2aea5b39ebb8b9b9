/** The files of vectors for the wire format, as text. */
import { envelopeVectors } from './envelopes.ts';
import { pairKeyVectors } from './pair-keys.ts';
import { pairingVectors } from './pairing.ts';
import { parcelVectors } from './parcels.ts';

export function wireVectors(): Readonly<Record<string, string>> {
  const text = (vectors: unknown): string => `${JSON.stringify(vectors, null, 1)}\n`;
  return {
    'pair-keys.json': text(pairKeyVectors()),
    'envelopes.json': text(envelopeVectors()),
    'parcels.json': text(parcelVectors()),
    'pairing.json': text(pairingVectors()),
  };
}
