/** What methods that change the membership wait for. */
import type { ApiPorts } from './ports.ts';

/** How long a command that does not wait gives the broker to take the news over. */
export const HANDING_OVER = 5000;
const CATCHING_UP = 10_000;

type WaitingPorts = Pick<ApiPorts, 'messenger' | 'clock'>;

/** Until `done`, or the time is up. */
export function until(
  { messenger, clock }: WaitingPorts,
  done: () => boolean,
  patience: number | undefined,
): Promise<boolean> {
  if (done()) return Promise.resolve(true);
  return new Promise((resolve) => {
    let cancel = (): void => undefined;
    const end = (result: boolean): void => {
      cancel();
      stop();
      resolve(result);
    };
    const stop = messenger.listen(() => {
      if (done()) end(true);
    });
    if (patience !== undefined) cancel = clock.after(patience, () => end(done()));
  });
}

/** What this device wrote and has forgotten is on its way, if there is any; a removal does not wait for ever. */
export function caughtUp(ports: WaitingPorts): Promise<boolean> {
  return until(ports, () => !ports.messenger.log.isBehind(), CATCHING_UP);
}
