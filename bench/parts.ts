/**
 * What one large message cannot do without, at both ends and on one processor: the bytes under the content key, their
 * hash, a step of the ratchet, the bytes under the key of the store, and the file that is written and flushed, eight
 * messages at a time. No numbers, no order, no acknowledgements, no book-keeping: a perfect program would need as much.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { nodePrimitives } from '../src/drivers/node/primitives.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import type { Engine } from '../src/usecases/ports/engine.ts';
import { establishedPair } from './engine.ts';

const TOGETHER = 8;
const FLUSHES = 40;
/** As much as stands in the ratchet's text where the payload goes beside it. */
const CORE = 128;

/** Microseconds of processor for each message, of all threads, what the system does for it included. */
export async function costOfParts(engine: Engine, dir: string, bytes: number): Promise<number> {
  const { hash, cipher } = nodePrimitives;
  const { sender, receiver } = establishedPair(engine);
  const key = nodeRandomness(32);
  const nonce = new Uint8Array(12);
  const payload = nodeRandomness(bytes);
  const core = nodeRandomness(CORE);
  const files = await Promise.all(['sender', 'receiver'].map((end) => open(join(dir, `parts-${end}`), 'w')));
  const [sent, received] = files;
  if (sent === undefined || received === undefined) throw new Error('two files were asked for');
  const began = process.cpuUsage();
  for (let flush = 0; flush < FLUSHES; flush++) {
    const outgoing: Uint8Array[] = [];
    const incoming: Uint8Array[] = [];
    for (let i = 0; i < TOGETHER; i++) {
      const text = new Uint8Array(payload);
      outgoing.push(cipher.seal({ key, nonce, aad: nonce, data: text }));
      const onTheWay = cipher.seal({ key, nonce, aad: nonce, data: text });
      hash(onTheWay);
      const message = sender.encrypt(core);
      hash(onTheWay);
      if ('refused' in receiver.decrypt(message)) throw new Error('not decrypted');
      const arrived = cipher.open({ key, nonce, aad: nonce, data: onTheWay });
      if (arrived === undefined) throw new Error('not opened');
      incoming.push(cipher.seal({ key, nonce, aad: nonce, data: arrived }));
    }
    await sent.writev(outgoing);
    await sent.datasync();
    await received.writev(incoming);
    await received.datasync();
  }
  const { user, system } = process.cpuUsage(began);
  sender.dispose();
  receiver.dispose();
  await Promise.all(files.map((file) => file.close()));
  return (user + system) / (FLUSHES * TOGETHER);
}
