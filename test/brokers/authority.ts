/** An authority that lives for one test, and the certificates that it gives to brokers. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { KeyAndCertificate } from './certificates.ts';

export interface Authority {
  /** PEM: for those who shall trust it. */
  readonly cert: string;
  issue(options: { readonly name: string; readonly until: Date }): Promise<KeyAndCertificate>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const FROM = new Date('2000-01-01T00:00:00Z');
export const LATER = new Date('2100-01-01T00:00:00Z');
export const LONG_AGO = new Date('2001-01-01T00:00:00Z');
const { subtle } = webcrypto;

export async function makeAuthority(name: string): Promise<Authority> {
  const own = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [name] }],
      keys: own,
      signingAlgorithm: ALGORITHM,
      notBefore: FROM,
      notAfter: LATER,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        await x509.SubjectKeyIdentifierExtension.create(own.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return {
    cert: `${root.toString('pem')}\n`,
    async issue({ name: host, until }) {
      const keys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const issued = await x509.X509CertificateGenerator.create(
        {
          subject: [{ CN: [host] }],
          issuer: root.subject,
          publicKey: keys.publicKey,
          signingKey: own.privateKey,
          signingAlgorithm: ALGORITHM,
          notBefore: FROM,
          notAfter: until,
          extensions: [
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: host }]),
            await x509.AuthorityKeyIdentifierExtension.create(own.publicKey, false, webcrypto),
          ],
        },
        webcrypto,
      );
      const key = x509.PemConverter.encode(await subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
      return { key: `${key}\n`, cert: `${issued.toString('pem')}\n` };
    },
  };
}
