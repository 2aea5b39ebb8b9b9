/**
 * The certificate that the embedded broker makes for itself. Who connects knows its pin and trusts nothing else
 * about it, so it says nothing: no name of a machine or person, and no date that a wrong clock could offend.
 */
import { createHash, webcrypto, X509Certificate } from 'node:crypto';
import { toHex } from '../../entities/bytes.ts';
import { type CertificatePin, parseCertificatePin } from '../../entities/certificate-pin.ts';

/** PEM. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

const NAME = 'trusted-mesh broker';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** A Pi without a clock begins in 1970, or with its last shutdown; so neither end depends on today. */
const FROM = new Date('2000-01-01T00:00:00Z');
/** RFC 5280 4.1.2.5: there is no date at which this ends. */
const UNTIL = new Date('9999-12-31T23:59:59Z');

export async function makeCertificate(): Promise<KeyAndCertificate> {
  // Needed once in the life of a store, and the first puts something into the global `Reflect` for the second.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const { subtle } = webcrypto;
  const keys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [NAME] }],
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: FROM,
      notAfter: UNTIL,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'trusted-mesh-broker.invalid' }]),
      ],
    },
    webcrypto,
  );
  const key = x509.PemConverter.encode(await subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { key: `${key}\n`, cert: `${certificate.toString('pem')}\n` };
}

/** What those who connect are given to know the certificate by. */
export function pinOf(cert: string): CertificatePin {
  const digest = createHash('sha256').update(new X509Certificate(cert).raw).digest();
  const pin = parseCertificatePin(toHex(digest));
  if (pin === undefined) throw new Error('a digest is a pin');
  return pin;
}
