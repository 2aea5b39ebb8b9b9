/** The wall clock of one device, which can be set wrong while its processes run. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PRELOAD = pathToFileURL(join(import.meta.dirname, '../../test/crash/clock-preload.mjs')).href;

export interface WrongClock {
  /** For every process of the device. */
  readonly environment: Readonly<Record<string, string>>;
  set(shift: number): void;
}

export function wrongClock(file: string): WrongClock {
  const set = (shift: number): void => {
    writeFileSync(`${file}.new`, String(shift));
    renameSync(`${file}.new`, file);
  };
  set(0);
  return { environment: { NODE_OPTIONS: `--import=${PRELOAD}`, CRASH_CLOCK: file }, set };
}
