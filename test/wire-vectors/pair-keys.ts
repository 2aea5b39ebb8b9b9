/** What `test/vectors/pair-keys.json` holds: ids, contexts, keys, MACs and signatures from fixed inputs. */
import { statementText } from '../../src/drivers/vodozemac/statement.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { ENVELOPE_LABEL, envelopeDigest, envelopeKey, envelopeMac } from '../../src/entities/pair-keys.ts';
import { Secret } from '../../src/entities/secret.ts';
import { utf8 } from '../../src/entities/text.ts';
import { filled, hash, laptop, mac, mesh, phone, signEnvelope, toLaptop, toPhone } from './cast.ts';

export const sessionId = Uint8Array.from({ length: 32 }, (_, i) => i);
export const sessionSecret = filled(32, 0x41);
const covered = utf8('every byte of an envelope before its authenticator');

export function pairKeyVectors(): unknown {
  const out = envelopeKey(mac, new Secret(sessionSecret), sessionId, toPhone);
  const back = envelopeKey(mac, new Secret(sessionSecret), sessionId, toLaptop);
  const digest = envelopeDigest(hash, toPhone, covered);
  return {
    devices: [laptop, phone].map(({ name, signingSeed, agreementPrivate, party }) => ({
      name,
      signingSeed: toHex(signingSeed),
      agreementPrivate: toHex(agreementPrivate),
      signing: toHex(party.keys.signing),
      agreement: toHex(party.keys.agreement),
      id: party.id,
    })),
    mesh,
    contexts: { laptopToPhone: toHex(toPhone), phoneToLaptop: toHex(toLaptop) },
    session: { id: toHex(sessionId), secret: toHex(sessionSecret) },
    envelopeKeys: { laptopToPhone: toHex(out.expose()), phoneToLaptop: toHex(back.expose()) },
    authenticators: {
      covered: toHex(covered),
      mac: toHex(envelopeMac(mac, out, covered)),
      digest: toHex(digest),
      signedText: statementText({ label: ENVELOPE_LABEL, digest }),
      signature: toHex(signEnvelope(covered)),
    },
  };
}
