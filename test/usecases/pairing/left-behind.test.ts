/** What becomes, in another mesh, of messages that wait in the one that a device leaves behind. */
import { expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import type { AgreementKey } from '../../../src/entities/keys.ts';
import { loadDevice } from '../../../src/usecases/device/load-device.ts';
import { loadMesh } from '../../../src/usecases/membership/load-mesh.ts';
import { createMessenger } from '../../../src/usecases/messaging/messenger.ts';
import type { MessageRecord } from '../../../src/usecases/ports/records.ts';
import { realRandomness } from '../../randomness.ts';
import { BROKER, PairingRig } from './rig.ts';

const STREAM = new Uint8Array(16).fill(1);
const RUN = new Uint8Array(8).fill(2);
const GONE = 'a'.repeat(32) as DeviceId;

const idOf = (number: number): Uint8Array => new Uint8Array(16).fill(number);

function message(number: number): MessageRecord {
  const addressee = { device: GONE, stream: STREAM, number, run: null, end: null, over: false };
  return {
    id: idOf(number),
    sentAt: 1,
    expiresAt: 30 * 86_400_000,
    type: 'text/plain',
    thread: null,
    group: null,
    bytes: 1,
    to: [{ ...addressee, mayHaveArrived: false, reason: null }],
  };
}

it('says how each message ended that waited for a device of the mesh before', async () => {
  const rig = await PairingRig.make("Alice's laptop", "Alice's phone");
  const [laptop, phone] = [rig.device(0), rig.device(1)];
  // As for a device that is void: of three messages the first was taken, and the second was on its way.
  const outgoing = { id: STREAM, next: 4, through: 1, throughRun: RUN, offered: 2, published: 2 };
  let ourKeys: readonly AgreementKey[] = [];
  await phone.withStore(async (keystore) => {
    const { account, pickleKey } = await loadDevice(
      { engine: await phone.engine(), hash: nodePrimitives.hash },
      keystore,
    );
    ourKeys = account.createOneTimeKeys(5);
    const pair = {
      ...{ sessions: [], retired: [], theirKeys: [], ourKeys, serial: 0, seenSerials: [] },
      ...{ outgoing, incoming: null, formerIncoming: [], frozen: false },
    };
    await keystore.commit([
      { kind: 'account', key: 'self', put: account.pickle(pickleKey) },
      { kind: 'pair', key: GONE, put: pair },
      { kind: 'lot', key: '1', put: { run: RUN, messages: [message(1), message(2), message(3)] } },
      { kind: 'goods', key: '1', put: [1, 2, 3].map((byte) => new Uint8Array([byte])) },
    ]);
    account.dispose();
  });
  await laptop.serve();
  await rig.drive(laptop, phone, await rig.invite(laptop, { broker: BROKER }));

  await phone.withStore(async (keystore) => {
    const { hash } = nodePrimitives;
    const engine = await phone.engine();
    const { self, account, pickleKey } = await loadDevice({ engine, hash }, keystore);
    expect(keystore.keys('pair')).toEqual([laptop.id]);
    const stranger = (await loadEngine(realRandomness)).createAccount();
    for (const key of ourKeys) {
      const { body } = stranger.startSession(self.keys.agreement, key).encrypt(new Uint8Array(1));
      expect(account.acceptSession(stranger.keys.agreement, body)).toHaveProperty('refused');
    }
    stranger.dispose();
    const messenger = await createMessenger({
      engine,
      ...nodePrimitives,
      clock: rig.clock,
      randomness: realRandomness,
      keystore,
      transport: rig.transport(phone),
      self,
      account,
      pickleKey,
      membership: await loadMesh(hash, keystore),
      fatal: (error) => {
        throw error;
      },
    });
    const ends = await Promise.all([1, 2, 3].map((number) => messenger.delivery(idOf(number))));
    expect(ends.map((receipt) => receipt?.to[0])).toMatchObject([
      { state: 'delivered', reason: null },
      { state: 'failed', reason: 'mesh-left', mayHaveArrived: true },
      { state: 'failed', reason: 'mesh-left', mayHaveArrived: false },
    ]);
    const closing = messenger.close();
    await rig.settle();
    await closing;
    expect(keystore.keys('lot')).toEqual([]);
    expect(keystore.keys('goods')).toEqual([]);
    expect(keystore.keys('ended')).toHaveLength(1);
    account.dispose();
  });
});
