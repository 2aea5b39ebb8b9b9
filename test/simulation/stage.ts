/** What the parts of a simulation share. The world is one. */
import type { VirtualClock } from '../../src/adapters/memory/virtual-clock.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import type { Entry, EntryHash } from '../../src/entities/roster/entry.ts';
import type { BegunSession } from './eavesdropper.ts';
import type { Mallory } from './mallory.ts';
import type { Pairing } from './pairings.ts';
import type { Seeded } from './seeded.ts';
import type { SimDevice } from './sim-device.ts';

export interface Stage {
  readonly seeded: Seeded;
  readonly clock: VirtualClock;
  readonly mallory: Mallory;
  /** In the hands of their owner, and in the mesh or once in it. */
  readonly devices: SimDevice[];
  /** Not in any mesh yet. */
  readonly spares: SimDevice[];
  /** In Mallory's hands. */
  readonly stolen: SimDevice[];
  readonly records: Records;
  make(name: string): Promise<SimDevice>;
  start(device: SimDevice): Promise<void>;
  crash(device: SimDevice): void;
  settle(): Promise<void>;
  say(...words: readonly string[]): void;
}

/** What only somebody knows who sees everybody. */
export interface Records {
  /** Whom a person added, at a device that was in the person's hands. */
  readonly asked: Set<DeviceId>;
  /** What was written for people without a pairing: the beginning of the mesh, and ADDs with a consent at hand. */
  readonly vouched: Set<EntryHash>;
  /** Every pairing that people have begun. */
  readonly pairings: Pairing[];
  /** Every ADD by a device in Mallory's hands. */
  readonly additions: { readonly entry: Entry; readonly device: DeviceId }[];
  /** Those among them to which the added device has not consented. */
  readonly pressed: Set<EntryHash>;
  /** Every revocation that a person made, and what the revoking device held then. */
  readonly revocations: Map<EntryHash, { readonly target: DeviceId; readonly held: ReadonlySet<string> }>;
  /** Everything that anybody signed, and that got anywhere. */
  readonly entries: Map<EntryHash, Entry>;
  /** Names that people have given. */
  readonly names: Set<string>;
  /** Devices that were put back to an older state. */
  readonly rolledBack: Set<SimDevice>;
  /** Group sessions, by whomever, the oldest first. */
  readonly groupSessions: readonly BegunSession[];
}
