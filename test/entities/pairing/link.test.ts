import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBase64Url, toBase64Url } from '../../../src/entities/bytes.ts';
import type { CertificatePin } from '../../../src/entities/certificate-pin.ts';
import type { DeviceName } from '../../../src/entities/device-name.ts';
import { meshIdBytes } from '../../../src/entities/mesh-id.ts';
import {
  decodeInviteLink,
  decodeInviteLinkBytes,
  encodeInviteLink,
  type InviteLink,
  LINK_PREFIX,
  linkName,
} from '../../../src/entities/pairing/link.ts';
import { Secret } from '../../../src/entities/secret.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { filled, hash, inviteSecret, laptop, mesh, must, oneTimeKeys } from '../../wire-vectors/cast.ts';

const [oneTimeKey] = oneTimeKeys(1);
if (oneTimeKey === undefined) throw new Error('one was asked for');
const link: InviteLink = {
  mesh: meshIdBytes(mesh).subarray(0, 8),
  inviter: laptop.party,
  oneTimeKey,
  secret: inviteSecret,
  expiresAt: 1_700_000_600_000,
  name: 'the laptop in the kitchen'.slice(0, 24) as DeviceName,
  broker: { url: 'mqtt://192.168.178.20:188' },
};
const pin = filled(32, 0x71) as CertificatePin;
const text = must(encodeInviteLink(hash, link));
const refusalOf = (pasted: string): string => {
  const decoded = decodeInviteLink(hash, pasted);
  return 'refused' in decoded ? decoded.refused : 'ok';
};

describe('the link of an invite', () => {
  it('fits into a QR code on a terminal', () => {
    expect(utf8(link.name).length).toBe(24);
    expect(link.broker.url.length).toBe(25);
    expect(text.length).toBeLessThanOrEqual(270);
    const pinned = must(encodeInviteLink(hash, { ...link, broker: { ...link.broker, pin } }));
    expect(pinned.length).toBeLessThanOrEqual(340);
  });

  it('is read from lines, indented or not, as a terminal or a letter wraps it', () => {
    const wrapped = (text.match(/.{1,60}/g) ?? []).join('\r\n  ');
    expect(refusalOf(`\n ${wrapped}\t\n`)).toBe('ok');
  });

  it('says which link is cut: it is shorter than it says', () => {
    for (let end = LINK_PREFIX.length; end < text.length; end++) {
      expect(refusalOf(text.slice(0, end)), `after ${end}`).toBe('link-cut');
    }
  });

  it('is refused with any bit of its bytes changed', () => {
    const bytes = fromBase64Url(text.slice(LINK_PREFIX.length)) ?? new Uint8Array(0);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const refused = refusalOf(LINK_PREFIX + toBase64Url(flipped));
      // A wrong length may make it look cut.
      expect(bit >> 3 === 1 || bit >> 3 === 2 ? ['link-cut', 'link-damaged'] : ['link-damaged']).toContain(
        refused,
      );
    }
  });

  it('is refused with any bit of its characters changed', () => {
    for (let at = 0; at < text.length; at++) {
      for (let bit = 0; bit < 7; bit++) {
        const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
        const refused = refusalOf(text.slice(0, at) + other + text.slice(at + 1));
        expect(['link-invalid', 'link-damaged', 'link-cut']).toContain(refused);
      }
    }
  });

  it('is refused, and never throws, whatever stands behind its beginning', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), fc.boolean(), (junk, begins) => {
        expect(refusalOf(begins ? LINK_PREFIX + junk : junk)).toMatch(/^link-/);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const decoded = decodeInviteLinkBytes(hash, bytes);
        expect('refused' in decoded && decoded.refused).toMatch(/^link-/);
      }),
      { numRuns: 2000 },
    );
  });

  it('comes out as it went in, or is too long', () => {
    const word = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 140 });
    const options = fc.record({
      seconds: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      url: fc.constantFrom('mqtt://h', 'mqtts://pi.local:1', 'ws://h:80/m', 'wss://broker.example/mqtt'),
      pin: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined }),
      login: fc.option(fc.tuple(word, word), { nil: undefined }),
      derivedLogin: fc.boolean(),
      topicPrefix: fc.option(fc.constantFrom('/m/', 'home/mesh/', '/'), { nil: undefined }),
    });
    fc.assert(
      fc.property(options, ({ seconds, url, login, derivedLogin, topicPrefix, ...rest }) => {
        const one: InviteLink = {
          ...link,
          expiresAt: seconds * 1000,
          broker: {
            url,
            ...(rest.pin === undefined ? {} : { pin: rest.pin as CertificatePin }),
            ...(login === undefined
              ? {}
              : { login: { user: login[0], password: new Secret(utf8(login[1])) } }),
            ...(derivedLogin && login === undefined ? { derivedLogin: true as const } : {}),
            ...(topicPrefix === undefined ? {} : { topicPrefix }),
          },
        };
        const encoded = encodeInviteLink(hash, one);
        if ('refused' in encoded) return;
        expect(encoded.ok.length).toBeLessThanOrEqual(512);
        const again = must(decodeInviteLink(hash, encoded.ok));
        expect(again).toEqual(one);
        // Secrets look alike to a comparison, so they are compared by hand.
        expect(again.secret.expose()).toEqual(one.secret.expose());
        expect(again.broker.login?.password.expose()).toEqual(one.broker.login?.password.expose());
      }),
    );
  });

  it('is not made where it would be longer than it may be', () => {
    const long = { ...link, broker: { url: `wss://host/${'p'.repeat(230)}` } };
    expect(encodeInviteLink(hash, long)).toEqual({ refused: 'link-too-long' });
    const longer = { ...link, broker: { url: `wss://host/${'p'.repeat(300)}` } };
    expect(encodeInviteLink(hash, longer)).toEqual({ refused: 'link-too-long' });
  });
});

describe('the name in a link', () => {
  const otherwise = 'device abcd' as DeviceName;

  it('is cut between two characters', () => {
    expect(linkName("Alice's laptop", otherwise)).toBe("Alice's laptop");
    expect(linkName('ä'.repeat(13), otherwise)).toBe('ä'.repeat(12));
    expect(linkName('😀'.repeat(7), otherwise)).toBe('😀'.repeat(6));
  });

  it('does not end with the space at which it was cut', () => {
    expect(linkName('abcdefghijklmnopqrstuvw xyz', otherwise)).toBe('abcdefghijklmnopqrstuvw');
  });

  it('is the other one where nothing is left that can be shown', () => {
    expect(linkName('', otherwise)).toBe(otherwise);
    expect(linkName('a\u0000b', otherwise)).toBe(otherwise);
  });
});
