import { readFileSync } from 'node:fs';

interface LowOrderKey {
  readonly key: string;
  readonly comment: string;
}

function read(name: string): readonly LowOrderKey[] {
  return JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8')).keys;
}

export const lowOrderX25519 = read('low-order-x25519.json');
export const lowOrderEd25519 = read('low-order-ed25519.json');
