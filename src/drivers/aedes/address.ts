/** Where the embedded broker listens, and at which of this machine's addresses others find it. */
import { isIPv4 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';

export type Interfaces = Readonly<
  Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'internal'>[] | undefined>
>;

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Networks that end inside this machine, or in a tunnel that the newcomer need not be in. */
const VIRTUAL =
  /^(?:docker|podman|br-|bridge|veth|vethernet|virbr|vmnet|vboxnet|lxc|lxd|cni|flannel|cali|tun|tap|utun|wg|tailscale|zt|awdl|llw|dummy)/i;
const PHYSICAL = /^(?:en|eth|wl|wi-?fi)/i;
const PRIVATE = /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/;
const LINK_LOCAL = /^169\.254\./;
/** These mean nothing without the name of an interface, which differs on each machine and has no place in a URL. */
const NEEDS_ZONE = /^fe[89ab][0-9a-f]:/i;
const UNIQUE_LOCAL = /^f[cd]/i;

/**
 * For a broker that listens everywhere (`0.0.0.0`, or `::` for both families): the one address that an invite
 * names. The same interfaces give the same answer in whatever order they are listed; nothing where the machine is
 * in no network.
 */
export function reachableAddress(wildcard: string, interfaces: Interfaces): string | undefined {
  const candidates = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos
      .filter(({ internal, address }) => !internal && !isLoopback(address) && !NEEDS_ZONE.test(address))
      .filter(({ address }) => wildcard === '::' || isIPv4(address))
      .map(({ address }) => ({ address, order: [...preference(name, address), name, address] })),
  );
  return candidates.sort((a, b) => compare(a.order, b.order))[0]?.address;
}

/** From what matters most to what matters least; the smaller, the better. */
function preference(name: string, address: string): number[] {
  const old = isIPv4(address);
  const local = old ? PRIVATE.test(address) : UNIQUE_LOCAL.test(address);
  return [
    Number(LINK_LOCAL.test(address)),
    Number(VIRTUAL.test(name)),
    Number(!old),
    Number(!PHYSICAL.test(name)),
    Number(!local),
  ];
}

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [index, mine] of a.entries()) {
    const other = b[index] ?? mine;
    if (mine !== other) return mine < other ? -1 : 1;
  }
  return 0;
}
