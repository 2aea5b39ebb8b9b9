/** Packets of a pairing, whole and under their MAC. */
import type { Hash, Mac } from '../../entities/crypto.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { SigningKey } from '../../entities/keys.ts';
import { type AbortReason, abortSignable, decodeAbort, encodeAbort } from '../../entities/pairing/abort.ts';
import {
  inviteTag,
  isPairingMac,
  type PairingDirection,
  type PairingEnds,
  pairingMac,
} from '../../entities/pairing/keys.ts';
import type { Secret } from '../../entities/secret.ts';
import {
  encodeEnvelope,
  PAIRING_ABORT,
  type PairingEnvelope,
  type PairingStep,
} from '../../entities/wire/envelope.ts';
import type { Account, Engine } from '../ports/engine.ts';

export interface PairingPackets {
  readonly tag: Uint8Array;
  make(step: PairingStep, newcomer: DeviceId, body: Uint8Array): Uint8Array;
  abort(account: Pick<Account, 'sign'>, newcomer: DeviceId, reason: AbortReason): Uint8Array;
  /** Whether a packet of the other end was made with the same link, for these two. */
  isAuthentic(envelope: PairingEnvelope, newcomer: DeviceId, covered: Uint8Array): boolean;
  /** The reason, where the other end has signed it. */
  readAbort(
    engine: Pick<Engine, 'verify'>,
    by: SigningKey,
    newcomer: DeviceId,
    body: Uint8Array,
  ): AbortReason | undefined;
}

export interface PacketsParts {
  readonly hash: Hash;
  readonly mac: Mac;
  readonly self: DeviceId;
  readonly inviter: DeviceId;
  readonly secret: Secret;
}

export function pairingPackets({ hash, mac, self, inviter, secret }: PacketsParts): PairingPackets {
  const tag = inviteTag(mac, secret);
  const outgoing: PairingDirection = self === inviter ? 'to newcomer' : 'to inviter';
  const incoming: PairingDirection = self === inviter ? 'to inviter' : 'to newcomer';
  const endsWith = (newcomer: DeviceId): PairingEnds => ({ inviter, newcomer });

  function make(step: PairingStep, newcomer: DeviceId, body: Uint8Array): Uint8Array {
    return encodeEnvelope({ kind: 'pairing', from: self, step, tag, body }, (covered) =>
      pairingMac(mac, secret, outgoing, endsWith(newcomer), covered),
    );
  }

  return {
    tag,
    make,
    abort(account, newcomer, reason) {
      const signature = account.sign(abortSignable(hash, outgoing, tag, endsWith(newcomer), reason));
      return make(PAIRING_ABORT, newcomer, encodeAbort({ reason, signature }));
    },
    isAuthentic: (envelope, newcomer, covered) =>
      isPairingMac(mac, secret, incoming, endsWith(newcomer), covered, envelope.mac),
    readAbort(engine, by, newcomer, body) {
      const abort = decodeAbort(body);
      if ('refused' in abort) return undefined;
      const { number, reason, signature } = abort.ok;
      const said = abortSignable(hash, incoming, tag, endsWith(newcomer), number);
      return engine.verify(by, said, signature) ? reason : undefined;
    },
  };
}
