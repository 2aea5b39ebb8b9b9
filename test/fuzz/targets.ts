/** Every parser that somebody outside can reach. */
import type { Target } from './target.ts';
import { apiTarget } from './targets/api.ts';
import { controlTarget } from './targets/control.ts';
import { guardTargets } from './targets/guard.ts';
import { membershipTargets } from './targets/membership.ts';
import { pairingTargets } from './targets/pairing.ts';
import { settingsTargets } from './targets/settings.ts';
import { storeTargets } from './targets/store.ts';
import { wireTargets } from './targets/wire.ts';

/** `root` is the folder of the repository, in which the vectors lie. */
export function allTargets(root: string): Target[] {
  return [
    ...wireTargets(root),
    ...pairingTargets(root),
    ...membershipTargets(root),
    controlTarget(),
    apiTarget(root),
    ...settingsTargets(),
    ...storeTargets(),
    ...guardTargets(),
  ];
}
