/**
 * Two parties of libsignal with an established session, each with a database of its own: the same Level that the mesh
 * has, every write synced. What libsignal asks its stores for is answered from memory.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Write } from '../src/adapters/keystore/key-value.ts';
import { openLevel } from '../src/drivers/level/level-key-value.ts';
import { nodeRandomness } from '../src/drivers/node/randomness.ts';
import { equal } from '../src/entities/bytes.ts';
import { utf8 } from '../src/entities/text.ts';
import type { Pass } from './peers.ts';

/** What is used of the package, in our words. Handles of its native side are opaque. */
export interface Libsignal {
  readonly ProtocolAddress: { readonly new: (name: string, deviceId: number) => Address };
  readonly IdentityKeyPair: { generate(): IdentityKeys };
  readonly PrivateKey: { generate(): PrivateKey };
  readonly KEMKeyPair: { generate(): KemKeys };
  readonly PreKeyRecord: { readonly new: (id: number, key: PublicKey, secret: PrivateKey) => PreKey };
  readonly SignedPreKeyRecord: {
    readonly new: (
      id: number,
      madeAt: number,
      key: PublicKey,
      secret: PrivateKey,
      signature: Uint8Array,
    ) => SignedPreKey;
  };
  readonly KyberPreKeyRecord: {
    readonly new: (id: number, madeAt: number, keys: KemKeys, signature: Uint8Array) => KyberPreKey;
  };
  readonly PreKeyBundle: {
    readonly new: (
      registrationId: number,
      deviceId: number,
      preKeyId: number,
      preKey: PublicKey,
      signedPreKeyId: number,
      signedPreKey: PublicKey,
      signedPreKeySignature: Uint8Array,
      identityKey: PublicKey,
      kyberPreKeyId: number,
      kyberPreKey: KemPublicKey,
      kyberPreKeySignature: Uint8Array,
    ) => PreKeyBundle;
  };
  readonly SignalMessage: { deserialize(bytes: Uint8Array): SignalMessage };
  readonly PreKeySignalMessage: { deserialize(bytes: Uint8Array): PreKeySignalMessage };
  processPreKeyBundle(
    bundle: PreKeyBundle,
    of: Address,
    self: Address,
    sessions: SessionStore,
    identities: IdentityStore,
  ): Promise<void>;
  signalEncrypt(
    message: Uint8Array,
    to: Address,
    self: Address,
    sessions: SessionStore,
    identities: IdentityStore,
  ): Promise<Serializable>;
  signalDecrypt(
    message: SignalMessage,
    from: Address,
    self: Address,
    sessions: SessionStore,
    identities: IdentityStore,
  ): Promise<Uint8Array>;
  signalDecryptPreKey(
    message: PreKeySignalMessage,
    from: Address,
    self: Address,
    sessions: SessionStore,
    identities: IdentityStore,
    preKeys: PreKeyStore,
    signedPreKeys: SignedPreKeyStore,
    kyberPreKeys: KyberPreKeyStore,
  ): Promise<Uint8Array>;
}

interface Serializable {
  serialize(): Uint8Array;
}
type Opaque<Name extends string> = Serializable & { readonly opaque?: Name };
type Address = { readonly opaque?: 'address' };
type PreKeyBundle = { readonly opaque?: 'bundle' };
type KemPublicKey = Opaque<'kem public key'>;
type PreKey = Opaque<'prekey'>;
type SignedPreKey = Opaque<'signed prekey'>;
type KyberPreKey = Opaque<'kyber prekey'>;
type SignalMessage = Opaque<'message'>;
type PreKeySignalMessage = Opaque<'prekey message'>;
type Session = Opaque<'session'>;
interface PublicKey extends Serializable {
  equals(other: PublicKey): boolean;
}
interface PrivateKey extends Serializable {
  sign(message: Uint8Array): Uint8Array;
  getPublicKey(): PublicKey;
}
interface KemKeys {
  getPublicKey(): KemPublicKey;
}
interface IdentityKeys {
  readonly publicKey: PublicKey;
  readonly privateKey: PrivateKey;
}
interface SessionStore {
  saveSession(peer: Address, session: Session): Promise<void>;
  getSession(peer: Address): Promise<Session | null>;
}
interface IdentityStore {
  getIdentityKeyPair(): Promise<IdentityKeys>;
  getLocalRegistrationId(): Promise<number>;
  /** Whether the key replaces another one: 0 or 1. */
  saveIdentity(peer: Address, key: PublicKey): Promise<0 | 1>;
  isTrustedIdentity(peer: Address, key: PublicKey): Promise<boolean>;
  getIdentity(peer: Address): Promise<PublicKey | null>;
}
interface PreKeyStore {
  getPreKey(): Promise<PreKey>;
  removePreKey(): Promise<void>;
}
interface SignedPreKeyStore {
  getSignedPreKey(): Promise<SignedPreKey>;
}
interface KyberPreKeyStore {
  getKyberPreKey(): Promise<KyberPreKey>;
  markKyberPreKeyUsed(): Promise<void>;
}

export interface LibsignalPair {
  readonly pass: Pass;
  close(): Promise<void>;
}

/**
 * What a party does with the payloads that it accepts or receives, and with its session, which changes with each.
 * `each save`: as the interface of libsignal suggests, the payload and the session in a write each.
 * A number: so many payloads, with the session as it is after them, in one batch, so that no crash can part them.
 * Packets leave when what they come from is durable.
 */
export type Keeping = 'each save' | 'nothing' | number;

const DEVICE = 1;
const SESSION = utf8('session');

interface Party {
  readonly address: Address;
  readonly keys: IdentityKeys;
  readonly sessions: SessionStore;
  readonly identities: IdentityStore;
  /** Resolves when they are durable, and the session with them. */
  keep(payloads: readonly Uint8Array[]): Promise<void>;
  close(): Promise<void>;
}

export async function libsignalPair(lib: Libsignal, dir: string, keeping: Keeping): Promise<LibsignalPair> {
  mkdirSync(dir);
  const alice = await createParty(lib, 'alice', dir, keeping);
  const bob = await createParty(lib, 'bob', dir, keeping);
  await establish(lib, alice, bob);
  const together = typeof keeping === 'number' ? keeping : 1;
  return {
    async pass(bytes, count) {
      const payload = nodeRandomness(bytes);
      const began = performance.now();
      for (let left = count; left > 0; left -= together) {
        await passAll(lib, alice, bob, Array(Math.min(left, together)).fill(payload));
      }
      return performance.now() - began;
    },
    async close() {
      await alice.close();
      await bob.close();
    },
  };
}

async function passAll(
  lib: Libsignal,
  from: Party,
  to: Party,
  payloads: readonly Uint8Array[],
): Promise<void> {
  const packets: Uint8Array[] = [];
  for (const payload of payloads) packets.push(await encrypt(lib, from, to, payload));
  await from.keep(payloads);
  const decrypted: Uint8Array[] = [];
  for (const packet of packets) decrypted.push(await decrypt(lib, from, to, packet));
  await to.keep(decrypted);
  const isThere = (payload: Uint8Array, i: number): boolean =>
    equal(payload, decrypted[i] ?? new Uint8Array());
  if (!payloads.every(isThere)) throw new Error('something else has arrived');
}

async function encrypt(lib: Libsignal, from: Party, to: Party, payload: Uint8Array): Promise<Uint8Array> {
  const { sessions, identities } = from;
  return (await lib.signalEncrypt(payload, to.address, from.address, sessions, identities)).serialize();
}

/** Throws for a prekey message, so that only what an established session sends is measured. */
function decrypt(lib: Libsignal, from: Party, to: Party, packet: Uint8Array): Promise<Uint8Array> {
  const message = lib.SignalMessage.deserialize(packet);
  return lib.signalDecrypt(message, from.address, to.address, to.sessions, to.identities);
}

async function createParty(lib: Libsignal, name: string, dir: string, keeping: Keeping): Promise<Party> {
  const level = await openLevel(join(dir, name), { create: true });
  const keys = lib.IdentityKeyPair.generate();
  let session: Session | null = null;
  let theirs: PublicKey | null = null;
  let kept = 0;
  const sessionWrite = (): Write[] => (session === null ? [] : [{ name: SESSION, put: session.serialize() }]);
  return {
    address: lib.ProtocolAddress.new(name, DEVICE),
    keys,
    sessions: {
      async saveSession(_, changed) {
        session = changed;
        if (keeping === 'each save') await level.write(sessionWrite());
      },
      getSession: async () => session,
    },
    identities: {
      getIdentityKeyPair: async () => keys,
      getLocalRegistrationId: async () => DEVICE,
      async saveIdentity(_, key) {
        if (theirs?.equals(key)) return 0;
        const replaces = theirs !== null;
        theirs = key;
        await level.write([{ name: utf8('identity'), put: key.serialize() }]);
        return replaces ? 1 : 0;
      },
      isTrustedIdentity: async (_, key) => theirs?.equals(key) ?? true,
      getIdentity: async () => theirs,
    },
    async keep(payloads) {
      if (keeping === 'nothing') return;
      const messages = payloads.map((put): Write => ({ name: utf8(`message ${kept++}`), put }));
      await level.write(keeping === 'each save' ? messages : [...sessionWrite(), ...messages]);
    },
    close: () => level.close(),
  };
}

/** A first message by Bob's prekeys, and an answer: from then on neither of them sends prekey messages. */
async function establish(lib: Libsignal, alice: Party, bob: Party): Promise<void> {
  const [oneTime, signed] = [lib.PrivateKey.generate(), lib.PrivateKey.generate()];
  const kem = lib.KEMKeyPair.generate();
  const signedSignature = bob.keys.privateKey.sign(signed.getPublicKey().serialize());
  const kemSignature = bob.keys.privateKey.sign(kem.getPublicKey().serialize());
  const bundle = lib.PreKeyBundle.new(
    DEVICE,
    DEVICE,
    1,
    oneTime.getPublicKey(),
    1,
    signed.getPublicKey(),
    signedSignature,
    bob.keys.publicKey,
    1,
    kem.getPublicKey(),
    kemSignature,
  );
  await lib.processPreKeyBundle(bundle, bob.address, alice.address, alice.sessions, alice.identities);
  const first = await encrypt(lib, alice, bob, nodeRandomness(1));
  const now = Date.now();
  await lib.signalDecryptPreKey(
    lib.PreKeySignalMessage.deserialize(first),
    alice.address,
    bob.address,
    bob.sessions,
    bob.identities,
    {
      getPreKey: async () => lib.PreKeyRecord.new(1, oneTime.getPublicKey(), oneTime),
      removePreKey: () => Promise.resolve(),
    },
    {
      getSignedPreKey: async () =>
        lib.SignedPreKeyRecord.new(1, now, signed.getPublicKey(), signed, signedSignature),
    },
    {
      getKyberPreKey: async () => lib.KyberPreKeyRecord.new(1, now, kem, kemSignature),
      markKyberPreKeyUsed: () => Promise.resolve(),
    },
  );
  await decrypt(lib, bob, alice, await encrypt(lib, bob, alice, nodeRandomness(1)));
}
