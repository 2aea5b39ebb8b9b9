import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/entities/secret.ts';
import { pairingSession } from '../../../src/usecases/pairing/pairing-session.ts';
import type { Pickle, Session } from '../../../src/usecases/ports/engine.ts';

const key = new Secret(new Uint8Array(32));

/** A ratchet that any attempt to read moves on, and that can read nothing. */
function fragile(moved: number, disposed: number[]): Session {
  let now = moved;
  return {
    id: new Uint8Array(32),
    established: true,
    encrypt: () => ({ type: 1, body: new Uint8Array(1) }),
    decrypt() {
      now += 1;
      return { refused: 'olm-undecryptable' };
    },
    matches: () => false,
    pickle: () => String(now) as Pickle,
    dispose: () => disposed.push(now),
  };
}

describe('the session of a pairing', () => {
  it('is what it was before, after a message that it cannot read', () => {
    const disposed: number[] = [];
    const restoreSession = (pickle: Pickle): Session => fragile(Number(pickle), disposed);
    const session = pairingSession({ restoreSession }, key, fragile(7, disposed));
    for (let i = 0; i < 3; i++) {
      expect(session.open(3, new Uint8Array(9))).toEqual({ refused: 'undecryptable' });
      expect(session.pickle()).toBe('7');
    }
    expect(disposed).toEqual([8, 8, 8]);
  });
});
