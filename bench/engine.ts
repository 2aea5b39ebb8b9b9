/** The engine's own loops: the ceiling of everything that is encrypted message by message. */

import { nodePrimitives } from '../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { loadEngine } from '../src/drivers/vodozemac/load-node.ts';
import type { OlmMessage, Session } from '../src/usecases/ports/engine.ts';
import { against, inTurn, type Row, timeSync } from './rows.ts';

const SIZES = { '100 B': 100, '1 KiB': 1024, '16 KiB': 16 * 1024, '64 KiB': 64 * 1024 } as const;
const ROUNDS = 7;

export async function engineRows(): Promise<Row[]> {
  const engine = await loadEngine(nodeRandomness);
  const rows: Row[] = [];
  for (const [name, size] of Object.entries(SIZES)) {
    const { sender, receiver } = establishedPair(engine);
    const text = nodeRandomness(size);
    const repeats = Math.max(20, Math.round(200_000 / (size + 1000)));
    const key = nodeRandomness(32);
    const nonce = new Uint8Array(12);
    let sealed: OlmMessage[] = [];
    const measured = await inTurn(ROUNDS, {
      encrypt: () => {
        sealed = [];
        return timeSync(repeats, () => sealed.push(sender.encrypt(text)));
      },
      decrypt: () => {
        let next = 0;
        return timeSync(repeats, () => {
          const message = sealed[next++];
          if (message === undefined || 'refused' in receiver.decrypt(message))
            throw new Error('not decrypted');
        });
      },
      aead: () => timeSync(repeats, () => nodePrimitives.cipher.seal({ key, nonce, aad: nonce, data: text })),
    });
    for (const kind of ['encrypt', 'decrypt'] as const) {
      rows.push({
        name: `engine ${kind} ${name}`,
        unit: 'µs',
        ...measured[kind],
        against: [against("the platform's AES-256-GCM", measured[kind], measured.aead)],
      });
    }
    sender.dispose();
    receiver.dispose();
  }
  return rows;
}

export function establishedPair(engine: Awaited<ReturnType<typeof loadEngine>>): {
  readonly sender: Session;
  readonly receiver: Session;
} {
  const [alice, bob] = [engine.createAccount(), engine.createAccount()];
  const [oneTimeKey] = bob.createOneTimeKeys(1);
  if (oneTimeKey === undefined) throw new Error('a key was asked for');
  const sender = alice.startSession(bob.keys.agreement, oneTimeKey);
  const accepted = bob.acceptSession(alice.keys.agreement, sender.encrypt(new Uint8Array()).body);
  if ('refused' in accepted) throw new Error(accepted.refused);
  const receiver = accepted.ok.session;
  if ('refused' in sender.decrypt(receiver.encrypt(new Uint8Array()))) throw new Error('no answer');
  alice.dispose();
  bob.dispose();
  return { sender, receiver };
}
