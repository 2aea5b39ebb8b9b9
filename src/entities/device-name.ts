/** Names are for people. They need not be unique; they must not be able to deceive. */

import type { Result } from './result.ts';
import { isWellFormed } from './text.ts';

export const NAME_MAX_CHARACTERS = 64;

export type DeviceName = string & { readonly __brand: 'device name' };
export type NameRefusal = 'name-empty' | 'name-too-long' | 'name-unprintable';

/**
 * Refused: control, format, private and unassigned characters, line and paragraph separators, every space but
 * the plain one, blank letters and marks that stand alone, spaces at either end or two in a row. What remains
 * looks like what it is.
 */
const DECEPTIVE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}|[\u115F\u1160\u2800\u3164\uFFA0]|\p{Default_Ignorable_Code_Point}/u;

export function parseDeviceName(text: string): Result<DeviceName, NameRefusal> {
  if (text.length === 0) return { refused: 'name-empty' };
  if (!isWellFormed(text)) return { refused: 'name-unprintable' };
  // Composing makes some characters two or three. What is returned has to be a name itself.
  const name = text.normalize('NFC');
  if (Math.max([...text].length, [...name].length) > NAME_MAX_CHARACTERS) return { refused: 'name-too-long' };
  if (isDeceptive(text) || isDeceptive(name)) return { refused: 'name-unprintable' };
  return { ok: name as DeviceName };
}

const isDeceptive = (text: string): boolean => DECEPTIVE.test(text) || /^ | $| {2}|^\p{M}/u.test(text);
