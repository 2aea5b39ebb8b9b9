/**
 * Two devices, from making their stores to a message read at the other end, out of nothing but the three inner
 * layers. It is bundled and run where only the language itself exists; the engine and the cipher, which belong to
 * a platform, are handed in.
 */

import { createSealedKeystore } from '../../src/adapters/keystore/sealed-keystore.ts';
import { deriveStoreKeys } from '../../src/adapters/keystore/store-keys.ts';
import { MemoryDisk } from '../../src/adapters/memory/memory-key-value.ts';
import { MemoryBroker } from '../../src/adapters/memory/memory-transport.ts';
import { VirtualClock } from '../../src/adapters/memory/virtual-clock.ts';
import { nobleHash, nobleMac } from '../../src/adapters/noble/primitives.ts';
import type { Aead, Cipher } from '../../src/entities/crypto.ts';
import { deriveDeviceId } from '../../src/entities/device-id.ts';
import { Secret } from '../../src/entities/secret.ts';
import { fromUtf8, utf8 } from '../../src/entities/text.ts';
import { createMessenger } from '../../src/usecases/messaging/messenger.ts';
import type { Engine } from '../../src/usecases/ports/engine.ts';
import type { Randomness } from '../../src/usecases/ports/randomness.ts';
import { foundMesh } from '../support/found-mesh.ts';

export interface Platform {
  readonly engine: Engine;
  readonly aead: Aead;
  readonly cipher: Cipher;
  readonly randomness: Randomness;
}

export async function scenario({ engine, aead, cipher, randomness }: Platform): Promise<string> {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  const primitives = { hash: nobleHash, mac: nobleMac, aead, cipher };

  const making = [];
  for (let i = 0; i < 2; i++) {
    const disk = new MemoryDisk();
    const keys = deriveStoreKeys(nobleMac, new Secret(randomness(32)), randomness(16));
    const parts = { database: disk.database(), anchor: disk.anchor(), keys, primitives, randomness, clock };
    const account = engine.createAccount();
    const party = { id: deriveDeviceId(nobleHash, account.keys), keys: account.keys };
    making.push({ account, party, keystore: await createSealedKeystore(parts) });
  }
  const founders = making.map(({ account, party }, i) => ({ account, self: party, name: `device ${i}` }));
  const membership = foundMesh({ engine, now: Math.floor(clock.now()), random: randomness }, founders);
  const messengers = [];
  for (const { account, party, keystore } of making) {
    const messenger = await createMessenger({
      ...primitives,
      engine,
      clock,
      randomness,
      keystore,
      account,
      pickleKey: new Secret(randomness(32)),
      transport: broker.transport(party.id),
      self: party,
      membership,
      fatal: (error) => {
        throw error;
      },
    });
    messenger.open();
    messengers.push(messenger);
  }
  const [laptop, phone] = messengers;
  const to = making[1]?.party.id;
  if (laptop === undefined || phone === undefined || to === undefined)
    throw new Error('two devices were made');
  const sending = laptop.send({ to: [to], payload: utf8('from the laptop to the phone') });
  for (let i = 0; i < 4000; i++) {
    for (let turns = 0; turns < 20; turns++) await undefined;
    const [message] = await phone.inbox.read({ batch: 0, index: 0 });
    if (message !== undefined) {
      const receipt = await sending;
      if ('refused' in receipt) throw new Error(receipt.refused);
      return fromUtf8(message.payload) ?? 'not text';
    }
    clock.step();
  }
  throw new Error('the message did not arrive');
}
