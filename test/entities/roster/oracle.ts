/**
 * The rules of the membership log once more, from their text, with sets and brute force instead of indexes and
 * queues. Slow, and for small histories only: the least set is found by looking at every set there is.
 */
import type { DeviceId } from '../../../src/entities/device-id.ts';
import type { Entry } from '../../../src/entities/roster/entry.ts';

export interface Verdict {
  readonly ever: DeviceId[];
  readonly removed: DeviceId[];
  readonly counted: DeviceId[];
  readonly members: DeviceId[];
  readonly judged: string[];
}

/** An entry with all its predecessors, or nothing where one is not there or does not fit. */
function chainOf(entry: Entry, all: readonly Entry[]): Entry[] | undefined {
  if (entry.previous === null) return entry.sequence === 1 ? [entry] : undefined;
  const before = all.find((other) => other.hash === entry.previous);
  if (before === undefined || before.author.id !== entry.author.id) return undefined;
  if (before.sequence + 1 !== entry.sequence) return undefined;
  const chain = chainOf(before, all);
  return chain === undefined ? undefined : [...chain, entry];
}

export function judgeByRules(genesis: Entry, given: readonly Entry[]): Verdict {
  const all = [genesis, ...given.filter((entry) => entry.mesh !== null)];
  const whole = all.filter((entry) => chainOf(entry, all) !== undefined);

  // Rule 1.
  let ever: DeviceId[] = [genesis.author.id];
  for (;;) {
    const grown = new Set(ever);
    for (const { author, body } of whole) {
      if (body.kind === 'add' && ever.includes(author.id)) grown.add(body.device);
    }
    if (grown.size === ever.length) break;
    ever = [...grown];
  }
  const entries = whole.filter((entry) => ever.includes(entry.author.id));

  // Rule 2.
  const revocations = entries.flatMap(({ author, body, hash }) => {
    if (body.kind === 'revoke') return [{ target: body.target, cut: body.cut }];
    return body.kind === 'leave' ? [{ target: author.id, cut: hash }] : [];
  });
  const removed = [...new Set(revocations.map(({ target }) => target))];

  // Rule 5, then the part of rule 3 that looks at one addition.
  const afterFork = (entry: Entry): boolean =>
    entries.some(
      (one) =>
        one.author.id === entry.author.id &&
        one.sequence <= entry.sequence &&
        entries.some(
          (two) => two.author.id === one.author.id && two.sequence === one.sequence && two.hash !== one.hash,
        ),
    );
  const withinAllCuts = (entry: Entry): boolean =>
    revocations
      .filter(({ target }) => target === entry.author.id)
      .every(({ cut }) => {
        const end = entries.find((other) => other.hash === cut);
        return end !== undefined && (chainOf(end, all) ?? []).some((one) => one.hash === entry.hash);
      });
  const additions = entries.flatMap((entry) =>
    entry.body.kind === 'add' && !afterFork(entry) && withinAllCuts(entry)
      ? [{ by: entry.author.id, device: entry.body.device }]
      : [],
  );

  // Rule 3: what all sets have in common that hold the founder and, with a device, those it adds.
  let counted: DeviceId[] = ever;
  for (let choice = 0; choice < 2 ** ever.length; choice++) {
    const set = ever.filter((_, i) => (choice >> i) % 2 === 1);
    if (!set.includes(genesis.author.id)) continue;
    if (additions.some(({ by, device }) => set.includes(by) && !set.includes(device))) continue;
    counted = counted.filter((device) => set.includes(device));
  }

  return {
    ever: ever.sort(),
    removed: removed.sort(),
    counted: counted.sort(),
    members: counted.filter((device) => !removed.includes(device)).sort(),
    judged: entries.map((entry) => entry.hash).sort(),
  };
}
