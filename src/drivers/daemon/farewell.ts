/** How long a removed device stays to tell the others, who may not have heard of it from anybody else. */
import type { DeviceId } from '../../entities/device-id.ts';
import { isKind } from '../../entities/roster/entry.ts';
import type { Messenger } from '../../usecases/messaging/messenger.ts';
import { nodeClock } from '../node/clock.ts';

const PATIENCE = 30_000;

/** Resolves when somebody who did not remove it has said that it knows, when nobody is left, or after a while. */
export function bidFarewell(messenger: Messenger, self: DeviceId, patience = PATIENCE): Promise<void> {
  const { farewell, log } = messenger;
  const isKnown = (): boolean => {
    const { roster, log: entries } = log.membership();
    const authors = new Set<string>();
    for (const entry of entries.values()) {
      if (isKind(entry, 'revoke') && entry.body.target === self) authors.add(entry.author.id);
    }
    const others = [...roster.members].filter((id) => !authors.has(id));
    return others.length === 0 || farewell.answered().some((id) => !authors.has(id));
  };
  if (isKnown()) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      stop();
      resolve();
    };
    const cancel = nodeClock.after(patience, end);
    const stop = messenger.listen(() => {
      if (isKnown()) end();
    });
  });
}
