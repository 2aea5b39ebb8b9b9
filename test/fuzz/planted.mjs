/**
 * A decoder with a fault deep inside, for the test of the fuzzer. It is instrumented there, and so plain JavaScript
 * without an import.
 *
 *     "MESH", how many records, and each: its kind, its length, as many bytes
 */
const MAGIC = [0x4d, 0x45, 0x53, 0x48];
const MOST_RECORDS = 8;

export function decodeBatch(bytes) {
  for (let at = 0; at < MAGIC.length; at++) {
    if (bytes[at] !== MAGIC[at]) return { refused: 'magic' };
  }
  const count = bytes[4];
  if (count === undefined || count > MOST_RECORDS) return { refused: 'count' };
  const records = [];
  let at = 5;
  for (let i = 0; i < count; i++) {
    const record = readRecord(bytes, at);
    if (record === undefined) return { refused: 'record' };
    records.push(record);
    at += 2 + record.length;
  }
  if (at !== bytes.length) return { refused: 'end' };
  if (records.length === 3 && records[1].kind === 'skip') throw new Error('planted');
  return { ok: records };
}

function readRecord(bytes, at) {
  const length = bytes[at + 1];
  if (length === undefined || at + 2 + length > bytes.length) return undefined;
  switch (bytes[at]) {
    case 0x10:
      return length === 0 ? { kind: 'skip', length } : undefined;
    case 0x20:
      return { kind: 'content', length };
    default:
      return undefined;
  }
}
