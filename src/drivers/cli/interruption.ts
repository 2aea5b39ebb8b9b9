/** Ctrl-C, a `kill`, or the end of the terminal, for commands that have something to put in order first. */
export interface Interruption {
  readonly came: Promise<'interrupted'>;
  /** From now on a signal ends the process as usual. */
  stop(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first signal is told of; a second one ends the process. */
export function watchInterruption(signals: readonly NodeJS.Signals[] = SIGNALS): Interruption {
  let tell: (what: 'interrupted') => void = () => undefined;
  const came = new Promise<'interrupted'>((resolve) => {
    tell = resolve;
  });
  const onSignal = (): void => {
    stop();
    tell('interrupted');
  };
  const stop = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return { came, stop };
}
