/** The codes with which envelopes and what stands in them are refused: any other answer to foreign bytes is a mistake. */
export const REFUSALS: ReadonlySet<string> = new Set([
  'envelope-empty',
  'envelope-unknown-version',
  'envelope-unknown-kind',
  'envelope-malformed',
  'parcel-malformed',
  'parcel-padding',
  'item-malformed',
  'key-malformed',
  'key-low-order',
  'cbor-malformed',
  'cbor-too-large',
  'cbor-too-deep',
]);
