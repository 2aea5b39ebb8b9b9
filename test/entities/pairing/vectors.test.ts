import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/entities/bytes.ts';
import { abortSignable, decodeAbort } from '../../../src/entities/pairing/abort.ts';
import { inviteLogin, inviteTag, pairingMac } from '../../../src/entities/pairing/keys.ts';
import { decodeInviteLink, encodeInviteLink } from '../../../src/entities/pairing/link.ts';
import {
  bundleSignable,
  decodeMessage,
  encodeMessage,
  type FirstMessage,
  type PairingMessage,
} from '../../../src/entities/pairing/messages.ts';
import {
  approvalProof,
  commitmentTo,
  firstMessageHash,
  pairingCode,
  transcriptHash,
} from '../../../src/entities/pairing/transcript.ts';
import type { Signable } from '../../../src/entities/roster/signing.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { fromUtf8 } from '../../../src/entities/text.ts';
import { filled, hash, laptop, mac, mesh, must, phone } from '../../wire-vectors/cast.ts';
import { show } from '../../wire-vectors/show.ts';

interface Vectors {
  readonly secret: string;
  readonly tag: string;
  readonly login: { readonly name: string; readonly password: string };
  readonly macs: readonly { direction: 'to inviter' | 'to newcomer'; covered: string; mac: string }[];
  readonly links: {
    readonly accept: readonly { readonly title: string; readonly text: string; readonly link: unknown }[];
    readonly refuse: readonly { readonly title: string; readonly text: string; readonly refused: string }[];
  };
  readonly messages: {
    readonly accept: readonly { title: string; step: PairingMessage['step']; bytes: string }[];
    readonly refuse: readonly {
      title: string;
      step: PairingMessage['step'];
      bytes: string;
      refused: string;
    }[];
  };
  readonly aborts: readonly {
    direction: 'to inviter' | 'to newcomer';
    reason: string;
    digest: string;
    bytes: string;
  }[];
  readonly transcript: Record<
    'link' | 'session' | 'commitment' | 'first' | 'hash' | 'code' | 'proof',
    string
  >;
}

const file = join(import.meta.dirname, '../../vectors/pairing.json');
const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'));
const bytes = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array(0);
const secret = new Secret(bytes(vectors.secret));
const ends = { inviter: laptop.party.id, newcomer: phone.party.id };

function holds(by: typeof laptop, { label, digest }: Signable, signature: Uint8Array): boolean {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), by.party.keys.signing]);
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify(null, Buffer.from(`trusted-mesh ${label} ${toHex(digest)}`), key, signature);
}

describe('the vectors for what follows from the secret of an invite', () => {
  it('derive its tag and its login', () => {
    expect(toHex(inviteTag(mac, secret))).toBe(vectors.tag);
    const { name, password } = inviteLogin(mac, secret);
    expect({ name, password: fromUtf8(password.expose()) }).toEqual(vectors.login);
    expect(name).toBe(`invite-${vectors.tag.slice(0, 8)}`);
  });

  it('authenticate each direction with a key of its own', () => {
    for (const { direction, covered, mac: expected } of vectors.macs) {
      expect(toHex(pairingMac(mac, secret, direction, ends, bytes(covered)))).toBe(expected);
    }
    expect(new Set(vectors.macs.map((one) => one.mac)).size).toBe(2);
  });
});

describe('the vectors for links', () => {
  for (const { title, text, link } of vectors.links.accept) {
    it(`accept: ${title}`, () => {
      const decoded = must(decodeInviteLink(hash, text));
      const { inviter, secret: inside, broker, ...rest } = decoded;
      const { login, ...reach } = broker;
      const shared =
        login === undefined ? {} : { login: [login.user, fromUtf8(login.password.expose()) ?? ''] };
      const shown = {
        ...rest,
        inviter: inviter.id,
        secret: inside.expose(),
        broker: { ...reach, ...shared },
      };
      expect(show(shown)).toEqual(link);
      expect(must(encodeInviteLink(hash, decoded))).toBe(text);
    });
  }

  for (const { title, text, refused } of vectors.links.refuse) {
    it(`refuse: ${title}`, () => {
      expect(decodeInviteLink(hash, text)).toEqual({ refused });
    });
  }
});

describe('the vectors for messages of a pairing', () => {
  for (const { title, step, bytes: given } of vectors.messages.accept) {
    it(`accept: ${title}`, () => {
      expect(toHex(encodeMessage(must(decodeMessage(step, bytes(given)))))).toBe(given);
    });
  }

  for (const { title, step, bytes: given, refused } of vectors.messages.refuse) {
    it(`refuse: ${title}`, () => {
      expect(decodeMessage(step, bytes(given))).toEqual({ refused });
    });
  }

  it('are signed by the newcomer for this inviter', () => {
    const first = messageOf(1) as FirstMessage;
    const signed = bundleSignable(hash, laptop.party.id, first);
    expect(holds(phone, signed, first.signature)).toBe(true);
    expect(holds(phone, bundleSignable(hash, phone.party.id, first), first.signature)).toBe(false);
  });

  it('are given up with a signature over reason, direction and both ends', () => {
    for (const { direction, reason, digest, bytes: given } of vectors.aborts) {
      const abort = must(decodeAbort(bytes(given)));
      expect(abort.reason).toBe(reason);
      const said = abortSignable(hash, direction, bytes(vectors.tag), ends, abort.number);
      expect(toHex(said.digest)).toBe(digest);
      expect(holds(direction === 'to inviter' ? phone : laptop, said, abort.signature)).toBe(true);
    }
  });
});

describe('the vectors for the transcript', () => {
  const { transcript } = vectors;

  it('commit to the nonce, and hash the first message', () => {
    const first = messageOf(1) as FirstMessage;
    expect(toHex(commitmentTo(hash, phone.party.id, filled(32, 0x81)))).toBe(transcript.commitment);
    expect(toHex(first.commitment)).toBe(transcript.commitment);
    expect(toHex(firstMessageHash(hash, encodeMessage(first)))).toBe(transcript.first);
  });

  it('lead to the code and to the proof that it was typed', () => {
    const session = bytes(transcript.session);
    const link = must(decodeInviteLink(hash, transcript.link));
    const computed = transcriptHash(hash, {
      link: new Uint8Array(Buffer.from(transcript.link.slice('mesh://join#'.length), 'base64url')),
      first: encodeMessage(messageOf(1)),
      second: encodeMessage(messageOf(2)),
      nonce: filled(32, 0x81),
      session,
      mesh,
      inviter: laptop.party,
      inviterName: link.name,
      newcomer: phone.party,
      newcomerName: (messageOf(1) as FirstMessage).name,
    });
    expect(toHex(computed)).toBe(transcript.hash);
    expect(pairingCode(hash, computed)).toBe(transcript.code);
    expect(transcript.code).toBe(
      String(BigInt(`0x${toHex(codeDigest(computed))}`) % 100_000_000n).padStart(8, '0'),
    );
    expect(toHex(approvalProof(mac, secret, session, computed))).toBe(transcript.proof);
  });
});

function messageOf(step: PairingMessage['step']): PairingMessage {
  const vector = vectors.messages.accept.find((one) => one.step === step);
  return must(decodeMessage(step, bytes(vector?.bytes ?? '')));
}

/** The first eight bytes behind the code, reckoned here in another way than there. */
function codeDigest(transcript: Uint8Array): Uint8Array {
  return hash(Buffer.from('trusted-mesh pairing code v1\0'), transcript).subarray(0, 8);
}
