import { describe, expect, it } from 'vitest';
import {
  type Interfaces,
  isLoopback,
  isWildcard,
  reachableAddress,
} from '../../../src/drivers/aedes/address.ts';

/** As `os.networkInterfaces` gives them, in as few words as will do. */
const machine = (listed: Readonly<Record<string, readonly string[]>>): Interfaces =>
  Object.fromEntries(
    Object.entries({ lo: ['127.0.0.1', '::1'], ...listed }).map(([name, addresses]) => [
      name,
      addresses.map((address) => ({ address, internal: name === 'lo' })),
    ]),
  );

const MACHINES: readonly {
  readonly what: string;
  readonly has: Readonly<Record<string, readonly string[]>>;
  /** With `0.0.0.0`, and with `::`. */
  readonly old: string | undefined;
  readonly both: string | undefined;
}[] = [
  { what: 'a machine in no network', has: {}, old: undefined, both: undefined },
  {
    what: 'a Pi on a cable',
    has: { eth0: ['192.168.1.20', 'fe80::1'] },
    old: '192.168.1.20',
    both: '192.168.1.20',
  },
  {
    what: 'a laptop with Docker, listed first',
    has: {
      docker0: ['172.17.0.1'],
      'br-3f2a': ['172.18.0.1'],
      vethab12: ['fe80::2'],
      wlp3s0: ['192.168.178.31'],
    },
    old: '192.168.178.31',
    both: '192.168.178.31',
  },
  {
    what: 'a laptop with virtual machines and VPNs',
    has: {
      virbr0: ['192.168.122.1'],
      tun0: ['10.8.0.6'],
      wg0: ['10.9.0.2'],
      tailscale0: ['100.101.102.103', 'fd7a:115c::1'],
      wlan0: ['10.20.30.40'],
    },
    old: '10.20.30.40',
    both: '10.20.30.40',
  },
  {
    what: 'a machine with cable and radio',
    has: { wlan0: ['192.168.1.21'], eth0: ['192.168.1.20'] },
    old: '192.168.1.20',
    both: '192.168.1.20',
  },
  {
    what: 'a machine with a public and a private side',
    has: { ens3: ['203.0.113.7'], ens4: ['10.0.0.7'] },
    old: '10.0.0.7',
    both: '10.0.0.7',
  },
  { what: 'a rented server', has: { ens3: ['203.0.113.7'] }, old: '203.0.113.7', both: '203.0.113.7' },
  {
    what: 'a machine with a cable into the open and an unusual name',
    has: { bond0: ['192.168.5.2'], eth1: ['172.15.0.9'] },
    old: '172.15.0.9',
    both: '172.15.0.9',
  },
  {
    what: 'a machine with nothing but an unusual name',
    has: { docker0: ['172.17.0.1'], bond0: ['192.168.5.2'] },
    old: '192.168.5.2',
    both: '192.168.5.2',
  },
  {
    what: 'a machine in the newer family only',
    has: { docker0: ['172.17.0.1'], eth0: ['fe80::1', '2001:db8::20', 'fd00::20'] },
    old: '172.17.0.1',
    both: 'fd00::20',
  },
  {
    what: 'a machine in the newer family only, without a network of its own',
    has: { eth0: ['fe80::1', '2001:db8::20'] },
    old: undefined,
    both: '2001:db8::20',
  },
  {
    what: 'a machine with a cable to nowhere, and radio',
    has: { eth0: ['169.254.10.1'], wlan0: ['192.168.1.21'] },
    old: '192.168.1.21',
    both: '192.168.1.21',
  },
  {
    what: 'a machine with a cable to a machine that is as lost as this one',
    has: { eth0: ['169.254.10.1', 'fe80::1'] },
    old: '169.254.10.1',
    both: '169.254.10.1',
  },
  {
    what: 'a machine with a cable to nowhere, and an unusual name',
    has: { eth0: ['169.254.10.1'], bond0: ['192.168.5.2'] },
    old: '192.168.5.2',
    both: '192.168.5.2',
  },
  {
    what: 'a machine with an old address in public and a new one of its own',
    has: { eth0: ['fd00::20', '203.0.113.7'] },
    old: '203.0.113.7',
    both: '203.0.113.7',
  },
  { what: 'a machine with what needs a zone', has: { eth0: ['fe80::1'] }, old: undefined, both: undefined },
  {
    what: 'a machine in a tailnet only',
    has: { tailscale0: ['100.64.0.9'] },
    old: '100.64.0.9',
    both: '100.64.0.9',
  },
  {
    what: 'a Mac',
    has: { utun3: ['10.1.1.1'], bridge100: ['192.168.64.1'], awdl0: ['fe80::5'], en0: ['192.168.2.4'] },
    old: '192.168.2.4',
    both: '192.168.2.4',
  },
  {
    what: 'a machine with Windows on it',
    has: { 'vEthernet (WSL)': ['172.30.0.1'], 'Wi-Fi': ['192.168.2.5'] },
    old: '192.168.2.5',
    both: '192.168.2.5',
  },
  {
    what: 'a machine with two networks of a kind',
    has: { eth1: ['10.0.1.1'], eth0: ['10.0.0.2', '10.0.0.1'] },
    old: '10.0.0.1',
    both: '10.0.0.1',
  },
];

describe('the address that an invite names', () => {
  for (const { what, has, old, both } of MACHINES) {
    it(`for ${what} is the one that others most likely reach`, () => {
      expect(reachableAddress('0.0.0.0', machine(has))).toBe(old);
      expect(reachableAddress('::', machine(has))).toBe(both);
    });

    it(`for ${what} does not depend on the order of the list`, () => {
      const backwards = Object.fromEntries(
        Object.entries(has)
          .reverse()
          .map(([name, addresses]) => [name, [...addresses].reverse()]),
      );
      expect(reachableAddress('0.0.0.0', machine(backwards))).toBe(old);
      expect(reachableAddress('::', machine(backwards))).toBe(both);
    });
  }

  it('is none of the loopback, even where the system does not call it internal', () => {
    const odd = { lo: [{ address: '127.0.0.2', internal: false }], gone: undefined };
    expect(reachableAddress('0.0.0.0', odd)).toBeUndefined();
  });
});

it('knows the loopback and the wildcards, and takes nothing else for them', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1']) expect(isLoopback(host)).toBe(true);
  for (const host of ['0.0.0.0', '::', '128.0.0.1', '127.0.0.1.example.org', 'localhost.example.org', '']) {
    expect(isLoopback(host)).toBe(false);
  }
  for (const host of ['0.0.0.0', '::']) expect(isWildcard(host)).toBe(true);
  for (const host of ['127.0.0.1', '::1', '10.0.0.0']) expect(isWildcard(host)).toBe(false);
});
