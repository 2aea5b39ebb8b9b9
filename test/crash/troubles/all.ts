import type { TroubleName } from '../plan.ts';
import { brokerGone } from './broker-gone.ts';
import { clockJump } from './clock-jump.ts';
import { fullDisk } from './full-disk.ts';
import { killAll } from './kill-all.ts';
import { killCallers } from './kill-callers.ts';
import { killOne } from './kill-one.ts';
import { killStarts } from './kill-starts.ts';
import { readOnlyDisk } from './read-only-disk.ts';
import type { Trouble } from './trouble.ts';

export const troubles: Readonly<Record<TroubleName, Trouble>> = {
  'kill-one': killOne,
  'kill-all': killAll,
  'kill-starts': killStarts,
  'kill-callers': killCallers,
  'full-disk': fullDisk,
  'read-only-disk': readOnlyDisk,
  'clock-jump': clockJump,
  'broker-gone': brokerGone,
};
