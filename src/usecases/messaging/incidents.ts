/** What people should know and might have missed: the last hundred, kept across restarts. */
import type { CommitCycle } from '../commit-cycle.ts';
import type { Keystore } from '../ports/keystore.ts';
import type { IncidentRecord } from '../ports/records.ts';

const KEPT = 100;

export interface Incidents {
  load(): Promise<void>;
  note(cycle: CommitCycle, incident: IncidentRecord): void;
  /** The newest last. */
  all(): readonly IncidentRecord[];
}

export function createIncidents(keystore: Pick<Keystore, 'keys' | 'read'>): Incidents {
  const held = new Map<number, IncidentRecord>();
  let next = 1;

  return {
    async load() {
      const numbers = keystore.keys('incident').map(Number);
      for (const number of numbers.sort((a, b) => a - b)) {
        const record = await keystore.read('incident', String(number));
        if (record !== undefined) held.set(number, record);
        next = number + 1;
      }
    },

    note(cycle, incident) {
      const number = next++;
      held.set(number, incident);
      cycle.change('incident', String(number), () => held.get(number));
      for (const oldest of held.keys()) {
        if (held.size <= KEPT) return;
        held.delete(oldest);
        cycle.change('incident', String(oldest), () => undefined);
      }
    },

    all: () => [...held.values()],
  };
}
