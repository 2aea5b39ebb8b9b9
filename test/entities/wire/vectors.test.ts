import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../src/entities/bytes.ts';
import { deriveDeviceId } from '../../../src/entities/device-id.ts';
import { parseDeviceKeys } from '../../../src/entities/keys.ts';
import type { MeshId } from '../../../src/entities/mesh-id.ts';
import { envelopeDigest, envelopeKey, envelopeMac, pairContext } from '../../../src/entities/pair-keys.ts';
import { pairingMac } from '../../../src/entities/pairing/keys.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { coveredBytes, decodeEnvelope } from '../../../src/entities/wire/envelope.ts';
import { pad, sizeClass, unpad } from '../../../src/entities/wire/padding.ts';
import { decodeCore, decodeParcel } from '../../../src/entities/wire/parcel.ts';
import { hash, inviteSecret, mac, must } from '../../wire-vectors/cast.ts';
import { wireVectors } from '../../wire-vectors/files.ts';
import { show } from '../../wire-vectors/show.ts';

const folder = join(import.meta.dirname, '../../vectors');
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const bytes = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);

interface Refusal {
  readonly title: string;
  readonly bytes: string;
  readonly zeros?: number;
  readonly refused: string;
}
interface Pair {
  readonly devices: readonly { name: string; signing: string; agreement: string; id: string }[];
  readonly mesh: string;
  readonly contexts: { readonly laptopToPhone: string; readonly phoneToLaptop: string };
  readonly session: { readonly id: string; readonly secret: string };
  readonly envelopeKeys: { readonly laptopToPhone: string; readonly phoneToLaptop: string };
  readonly authenticators: Record<'covered' | 'mac' | 'digest' | 'signedText' | 'signature', string>;
}
interface Envelopes {
  readonly accept: readonly {
    readonly title: string;
    readonly bytes: string;
    readonly covered: string;
    readonly envelope: { readonly kind: string; readonly mac?: string; readonly signature?: string };
  }[];
  readonly refuse: readonly Refusal[];
}
interface Parcels {
  readonly sizeClasses: readonly (readonly [number, number])[];
  readonly padding: {
    readonly accept: readonly { readonly text: string; readonly padded: string }[];
    readonly refuse: readonly Refusal[];
  };
  readonly cores: {
    readonly accept: readonly { readonly title: string; readonly bytes: string; readonly core: unknown }[];
    readonly refuse: readonly Refusal[];
  };
  readonly parcels: {
    readonly accept: readonly { readonly title: string; readonly bytes: string; readonly parcel: unknown }[];
    readonly refuse: readonly Refusal[];
  };
}

const pair: Pair = read('pair-keys.json');
const envelopes: Envelopes = read('envelopes.json');
const parcels: Parcels = read('parcels.json');

const parties = pair.devices.map(({ signing, agreement }) => {
  const keys = must(parseDeviceKeys(bytes(signing), bytes(agreement)));
  return { id: deriveDeviceId(hash, keys), keys };
});
const [laptop, phone] = parties;
if (laptop === undefined || phone === undefined) throw new Error('the vectors have two devices');
const mesh = toHex(bytes(pair.mesh)) as MeshId;
const toPhone = pairContext(hash, mesh, laptop, phone);

const laptopKey = laptop.keys.signing;

function signatureHolds(covered: Uint8Array, signature: string): boolean {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), laptopKey]);
  const text = `trusted-mesh envelope v1 ${toHex(envelopeDigest(hash, toPhone, covered))}`;
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify(null, Buffer.from(text), key, bytes(signature));
}

describe('the files of vectors', () => {
  for (const [name, text] of Object.entries(wireVectors())) {
    it(`are what their maker makes: ${name}`, () => {
      expect(readFileSync(join(folder, name), 'utf8') === text).toBe(true);
    });
  }
});

describe('the vectors for pairs of devices', () => {
  it('derive the ids from the keys', () => {
    expect(parties.map(({ id }) => id)).toEqual(pair.devices.map(({ id }) => id));
  });

  it('derive a context for each direction, and one envelope key from each', () => {
    const secret = new Secret(bytes(pair.session.secret));
    const toLaptop = pairContext(hash, mesh, phone, laptop);
    expect([toPhone, toLaptop].map(toHex)).toEqual([
      pair.contexts.laptopToPhone,
      pair.contexts.phoneToLaptop,
    ]);
    const keys = [toPhone, toLaptop].map((context) =>
      toHex(envelopeKey(mac, secret, bytes(pair.session.id), context).expose()),
    );
    expect(keys).toEqual([pair.envelopeKeys.laptopToPhone, pair.envelopeKeys.phoneToLaptop]);
  });

  it('authenticate bytes with the MAC and with the signature', () => {
    const { covered, mac: expected, digest, signedText, signature } = pair.authenticators;
    const key = new Secret(bytes(pair.envelopeKeys.laptopToPhone));
    expect(toHex(envelopeMac(mac, key, bytes(covered)))).toBe(expected);
    expect(toHex(envelopeDigest(hash, toPhone, bytes(covered)))).toBe(digest);
    expect(signedText).toBe(`trusted-mesh envelope v1 ${digest}`);
    expect(signatureHolds(bytes(covered), signature)).toBe(true);
  });
});

describe('the vectors for envelopes', () => {
  for (const { title, bytes: given, covered, envelope } of envelopes.accept) {
    it(`accept: ${title}`, () => {
      const opened = must(decodeEnvelope(bytes(given)));
      expect(show(opened.envelope)).toEqual(envelope);
      const digests = 'attached' in opened.envelope ? opened.envelope.attached.map((one) => hash(one)) : [];
      const authenticated = coveredBytes(opened, digests);
      expect(toHex(authenticated)).toBe(covered);
      const key = new Secret(bytes(pair.envelopeKeys.laptopToPhone));
      if (envelope.kind === 'pairing') {
        const ends = { inviter: phone.id, newcomer: laptop.id };
        const expected = pairingMac(mac, inviteSecret, 'to inviter', ends, authenticated);
        expect(toHex(expected)).toBe(envelope.mac);
      } else if (envelope.mac !== undefined) {
        expect(toHex(envelopeMac(mac, key, authenticated))).toBe(envelope.mac);
      } else {
        expect(signatureHolds(authenticated, envelope.signature ?? '')).toBe(true);
      }
    });
  }

  for (const { title, bytes: given, zeros = 0, refused } of envelopes.refuse) {
    it(`refuse: ${title}`, () => {
      expect(decodeEnvelope(concat(bytes(given), new Uint8Array(zeros)))).toEqual({ refused });
    });
  }
});

describe('the vectors for parcels', () => {
  it('give the size class of every length', () => {
    for (const [length, size] of parcels.sizeClasses) expect(sizeClass(length)).toBe(size);
  });

  it('pad and unpad', () => {
    for (const { text, padded } of parcels.padding.accept) {
      expect(toHex(pad(bytes(text)))).toBe(padded);
      expect(toHex(unpad(bytes(padded)) ?? new Uint8Array(1))).toBe(text);
    }
  });

  for (const { title, bytes: given, refused } of parcels.padding.refuse) {
    it(`refuse as padding: ${title}`, () => {
      expect(unpad(bytes(given))).toBeUndefined();
      expect(decodeParcel(bytes(given))).toEqual({ refused });
    });
  }

  for (const { title, bytes: given, core } of parcels.cores.accept) {
    it(`accept as a core: ${title}`, () => {
      expect(show(must(decodeCore(bytes(given))))).toEqual(core);
    });
  }

  for (const { title, bytes: given, zeros = 0, refused } of parcels.cores.refuse) {
    it(`refuse as a core: ${title}`, () => {
      expect(decodeCore(concat(bytes(given), new Uint8Array(zeros)))).toEqual({ refused });
    });
  }

  for (const { title, bytes: given, parcel } of parcels.parcels.accept) {
    it(`accept: ${title}`, () => {
      expect(show(must(decodeParcel(bytes(given))))).toEqual(parcel);
    });
  }

  for (const { title, bytes: given, zeros = 0, refused } of parcels.parcels.refuse) {
    it(`refuse: ${title}`, () => {
      expect(decodeParcel(pad(concat(bytes(given), new Uint8Array(zeros))))).toEqual({ refused });
    });
  }
});
