import { expect, it, test } from 'vitest';
import { hostDeviceName } from '../../../src/drivers/cli/host-name.ts';
import { parseDeviceName } from '../../../src/entities/device-name.ts';

test.each([
  ['laptop', 'laptop'],
  ['laptop.home.example', 'laptop'],
  ["Alice's-MacBook-Pro.local", 'Alice-s-MacBook-Pro'],
  ['Büro-PC', 'Büro-PC'],
  ['Bu\u0308ro', 'Büro'],
  ['raspberry pi', 'raspberry-pi'],
  ['-edge-', 'edge'],
  ['\u202Egnp.exe', 'gnp'],
  ['\u0007', 'device'],
  ['\u3164', 'device'],
  ['.local', 'device'],
  ['', 'device'],
])('the machine %j gives its device the name %j', (host, name) => {
  expect(hostDeviceName(host)).toBe(name);
});

it('is short enough for a device, whatever the machine is called', () => {
  const name = hostDeviceName(`${'x'.repeat(63)}-${'x'.repeat(40)}`);
  expect(name).toBe('x'.repeat(63));
  expect(parseDeviceName(name)).toEqual({ ok: name });
});
