/** What a device that returns to its own mesh keeps, where somebody was removed while it did not know. */
import { expect, it } from 'vitest';
import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
import { admit } from '../../../src/entities/roster/admission.ts';
import { attachSignature, compose, revocation } from '../../../src/entities/roster/compose.ts';
import { verifier } from '../../../src/usecases/membership/mesh-log.ts';
import { type EnteringStore, enterMesh } from '../../../src/usecases/pairing/enter-mesh.ts';
import { realRandomness } from '../../randomness.ts';
import { foundMesh } from '../../support/found-mesh.ts';

const { hash } = nodePrimitives;
const engine = await loadEngine(realRandomness);
const [inviter, self, gone] = ['the inviter', 'the one that returns', 'the one that is gone'].map((name) => {
  const account = engine.createAccount();
  return { self: { id: deriveDeviceId(hash, account.keys), keys: account.keys }, account, name };
});

it('keeps nothing that it shared with a device of which it has just learned that it was removed', async () => {
  if (inviter === undefined || self === undefined || gone === undefined) throw new Error('nobody is there');
  const former = foundMesh({ engine, now: 1, random: realRandomness }, [inviter, self, gone]);
  const body = revocation(former, gone.self.id, 'lost');
  const draft = compose(hash, former, inviter.self.id, body, 2);
  const entry = attachSignature(hash, draft, inviter.account.sign(draft.signable));
  const context = { hash, verify: verifier(engine), self: self.self.id };
  const { membership } = admit(context, former, [entry]);
  const stream = new Uint8Array(16).fill(1);
  const pairOf = (id: string, key: number) => ({
    sessions: [{ id }],
    ourKeys: [new Uint8Array(32).fill(key)],
    outgoing: { id: stream, next: 2, through: 0, offered: 1, published: 1 },
  });
  const addressee = {
    stream,
    number: 1,
    run: null,
    end: null,
    over: false,
    mayHaveArrived: false,
    reason: null,
  };
  const to = [gone, inviter].map(({ self: { id: device } }) => ({ ...addressee, device }));
  const records = new Map<string, unknown>([
    [`pair ${gone.self.id}`, pairOf('cc', 3)],
    [`pair ${inviter.self.id}`, pairOf('dd', 4)],
    ['lot 1', { run: new Uint8Array(8), messages: [{ to }] }],
  ]);
  const store = {
    read: async (kind: string, key: string) => records.get(`${kind} ${key}`),
    keys: (kind: string) =>
      [...records.keys()].flatMap((name) =>
        name.startsWith(`${kind} `) ? [name.slice(kind.length + 1)] : [],
      ),
  } as EnteringStore;
  const burnt: number[] = [];
  const changes = await enterMesh(store, {
    ...{ former, membership, inviter: inviter.self.id, theirKeys: [], ourKeys: [] },
    ...{ broker: { url: 'mqtt://localhost:1883' }, settings: [], login: undefined, at: 3 },
    burn: (key) => burnt.push(key[0] ?? 0),
  });

  const removed = changes.flatMap((change) => ('remove' in change ? [`${change.kind} ${change.key}`] : []));
  expect(removed).toContain(`pair ${gone.self.id}`);
  expect(removed).toContain('ratchet cc');
  expect(removed).not.toContain('ratchet dd');
  expect(burnt.sort()).toEqual([3, 4]);
  const lot = changes.find(({ kind }) => kind === 'lot');
  expect(lot).toMatchObject({
    put: {
      messages: [
        { to: [{ end: 'failed', over: true, reason: 'revoked', mayHaveArrived: true }, { over: false }] },
      ],
    },
  });
});
