/** The embedded broker's address as a person gives it, and what they are told of it. */
import { isIPv6 } from 'node:net';
import type { JsonObject } from '../../adapters/rpc/protocol.ts';
import { MeshError } from '../../entities/errors.ts';
import type { EmbeddedAddress } from '../daemon/embedded.ts';

export const DEFAULT_ADDRESS = '127.0.0.1:1883';

/** HOST, HOST:PORT, or either with an IPv6 address in brackets; without a port also one that has none. */
export function embeddedAddress(text: string): EmbeddedAddress {
  if (isIPv6(text)) return { host: text, port: undefined };
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? undefined : Number(digits);
  // A number alone would be an address in its oldest spelling; whoever writes one means a port.
  const isHost = host !== undefined && (bracketed === undefined ? !/^\d+$/.test(host) : isIPv6(bracketed));
  if (!isHost || (port ?? 0) > 65_535) {
    throw new MeshError('usage', { detail: `"${text}" is not HOST:PORT` });
  }
  return { host, port };
}

/** How to make the other choice, as a person would type it. */
export interface Ways {
  readonly open: string;
  readonly close: string;
}

const OPTIONS: Ways = {
  open: '--embedded-broker 0.0.0.0',
  close: `--embedded-broker ${DEFAULT_ADDRESS}`,
};

/** For people: who can reach it, and how to change that. Takes what `announcement` gives. */
export function describeEmbedded({ address, invite, tls }: JsonObject, ways: Ways = OPTIONS): string {
  if (tls !== true) {
    return `embedded broker on ${address}, for this machine only; "${ways.open}" opens it to the network`;
  }
  const named =
    invite === null
      ? 'this machine has no address in a network now, so an invite cannot name it'
      : `an invite will name ${invite}`;
  return `embedded broker on ${address}, open to the network with TLS and logins; ${named}. "${ways.close}" keeps it to this machine`;
}
