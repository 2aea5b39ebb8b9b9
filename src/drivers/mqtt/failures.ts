/** Translates what goes wrong below into the program's own codes. */
import { type ErrorCode, MeshError } from '../../entities/errors.ts';

/**
 * Nothing but a change of settings helps against these. An expired certificate is not among them: a Pi has no
 * clock of its own, and what it trusts becomes valid a minute after its start.
 */
const PERMANENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'broker-refused-login',
  'broker-not-authorised',
  'broker-refused-client-id',
  'broker-refused-subscription',
  'broker-no-common-version',
  'broker-without-qos',
  'broker-websocket-refused',
  'broker-taken-over',
  'broker-keeps-closing',
  'broker-tls-untrusted',
  'broker-tls-wrong-name',
  'broker-pin-mismatch',
]);

export function isPermanent(error: MeshError): boolean {
  return PERMANENT.has(error.code);
}

/** CONNACK of MQTT 3.1.1; MQTT.js hands these on as they are. */
const REFUSALS_311: Readonly<Record<number, ErrorCode>> = {
  1: 'broker-no-common-version',
  2: 'broker-refused-client-id',
  3: 'broker-busy',
  4: 'broker-refused-login',
  5: 'broker-not-authorised',
};

/** CONNACK and DISCONNECT of MQTT 5. */
const REASONS_5: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [0x84, 'broker-no-common-version'],
  [0x85, 'broker-refused-client-id'],
  [0x86, 'broker-refused-login'],
  [0x87, 'broker-not-authorised'],
  [0x88, 'broker-busy'],
  [0x89, 'broker-busy'],
  [0x8a, 'broker-not-authorised'],
  [0x8b, 'broker-busy'],
  [0x8c, 'broker-not-authorised'],
  [0x8e, 'broker-taken-over'],
  [0x97, 'broker-busy'],
  [0x98, 'broker-busy'],
  [0x9b, 'broker-without-qos'],
  [0x9c, 'broker-busy'],
  [0x9d, 'broker-busy'],
  [0x9f, 'broker-busy'],
]);

export function refusal(broker: string, reason: number): MeshError {
  const code = (reason < 0x80 ? REFUSALS_311[reason] : REASONS_5.get(reason)) ?? 'broker-protocol';
  return new MeshError(code, { broker, reason });
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** For an error of a socket, of TLS or of a WebSocket, before or after the broker was reached. */
export function socketFailure(broker: string, cause: unknown, wasConnected: boolean): MeshError {
  if (cause instanceof MeshError) return cause;
  const code = codeOf(cause);
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return new MeshError('broker-tls-expired', { broker }, cause);
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new MeshError('broker-tls-wrong-name', { broker }, cause);
  }
  if (UNTRUSTED.has(code)) return new MeshError('broker-tls-untrusted', { broker }, cause);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS')) {
    return new MeshError('broker-tls-failed', { broker, detail: code }, cause);
  }
  if (cause instanceof Error && /^Unexpected server response: [34]/.test(cause.message)) {
    return new MeshError('broker-websocket-refused', { broker }, cause);
  }
  return wasConnected
    ? new MeshError('broker-lost', { broker }, cause)
    : new MeshError('broker-unreachable', { broker, detail: code === '' ? 'no reason given' : code }, cause);
}

/** A system error's code; never its text, which may hold anything. */
function codeOf(cause: unknown): string {
  if (!(cause instanceof Error) || !('code' in cause)) return '';
  return typeof cause.code === 'string' ? cause.code : '';
}
