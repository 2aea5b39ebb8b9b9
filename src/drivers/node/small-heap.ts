/**
 * A daemon lives for months beside other programs, on machines with little memory. Left alone, V8 answers one busy
 * minute with a heap several times as large as what is in it, and never gives that back. So the space for what is new
 * stops growing early, and the rest may grow by a part of itself before it is looked through
 * (`npm run bench -- --only aged`).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const ENOUGH = 16 * 1024 * 1024;

export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=50');
  // V8 has a bound of its own for it, but only for those who start Node with that option.
  const watch = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    if ((young?.space_size ?? 0) < ENOUGH) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    watch.disconnect();
  });
  watch.observe({ entryTypes: ['gc'] });
}
