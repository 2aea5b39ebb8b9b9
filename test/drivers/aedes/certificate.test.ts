import { createHash, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { type KeyAndCertificate, makeCertificate, pinOf } from '../../../src/drivers/aedes/certificate.ts';
import { toHex } from '../../../src/entities/bytes.ts';

let made: KeyAndCertificate;
beforeAll(async () => {
  made = await makeCertificate();
});

describe('the certificate of the embedded broker', () => {
  it('fits its key, which is one of its own each time', async () => {
    const certificate = new X509Certificate(made.cert);
    expect(() => createSecureContext(made)).not.toThrow();
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    const other = await makeCertificate();
    expect(() => createSecureContext({ key: other.key, cert: made.cert })).toThrow();
    expect(toHex(pinOf(other.cert))).not.toBe(toHex(pinOf(made.cert)));
  });

  it('names no machine and no person, and no time that a wrong clock could be before or after', () => {
    const certificate = new X509Certificate(made.cert);
    expect(certificate.subject).toBe('CN=trusted-mesh broker');
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.subjectAltName).toBe('DNS:trusted-mesh-broker.invalid');
    expect(certificate.ca).toBe(false);
    expect(new Date(certificate.validFrom).toISOString()).toBe('2000-01-01T00:00:00.000Z');
    expect(new Date(certificate.validTo).getUTCFullYear()).toBe(9999);
  });

  it('is known by its pin', () => {
    const { raw, fingerprint256 } = new X509Certificate(made.cert);
    expect(toHex(pinOf(made.cert))).toBe(createHash('sha256').update(raw).digest('hex'));
    expect(toHex(pinOf(made.cert))).toBe(fingerprint256.replaceAll(':', '').toLowerCase());
  });
});
