/**
 * The text that a signature is over. The engine signs text only, so it is one of a fixed alphabet: what is
 * signed for one purpose can never be read as something else, nor as any other program's text.
 */
import { toHex } from '../../entities/bytes.ts';
import type { Statement } from '../../usecases/ports/engine.ts';

const LABEL = /^[a-z0-9 -]+$/;
const DIGEST_BYTES = 32;

export function statementText(statement: Statement): string {
  if (!LABEL.test(statement.label)) throw new Error(`"${statement.label}" is no label for a statement`);
  if (statement.digest.length !== DIGEST_BYTES) throw new Error('a statement is made of a 32-byte digest');
  return `trusted-mesh ${statement.label} ${toHex(statement.digest)}`;
}
