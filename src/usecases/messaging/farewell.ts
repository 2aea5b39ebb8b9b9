/**
 * Being removed, and telling those who are. A removed device shares no key with anybody any more, so it is told
 * in the open, by a signed notice with nothing in it but the entries that say so: they hold no names.
 *
 * A notice never does more than its entries do. It stops a device, if a member that the device knows has signed
 * its removal; what is stored stays until a person at the device says otherwise.
 */
import type { DeviceId } from '../../entities/device-id.ts';
import { ENVELOPE_LABEL, envelopeDigest, pairContext } from '../../entities/pair-keys.ts';
import { type Entry, isKind } from '../../entities/roster/entry.ts';
import { decodeEntry } from '../../entities/roster/entry-codec.ts';
import type { RosterDevice } from '../../entities/roster/roster.ts';
import { entrySignable } from '../../entities/roster/signing.ts';
import { encodeEnvelope, MAX_NOTICE_ENTRIES, type NoticeEnvelope } from '../../entities/wire/envelope.ts';
import type { LogChange, MeshLog } from '../membership/mesh-log.ts';
import type { FarewellRecord } from '../ports/records.ts';
import type { Office } from './office.ts';
import type { Peer } from './peer.ts';

/** A removed device hears of it no oftener than this, whoever asks in its name. */
const NOTICE_PAUSE = 10_000;
const NOTICE_BYTES = 100 * 1024;

export type OwnStanding = 'member' | 'void' | 'removed' | 'left';

export interface Farewell {
  load(): Promise<void>;
  /** How this device stands, as far as it knows. */
  standing(): OwnStanding;
  /** Members that have said that they know of the removal of this device. */
  answered(): readonly DeviceId[];
  /** Something came in the name of a device that is not a peer. */
  onStranger(from: DeviceId): void;
  /** From a peer, its signature checked. */
  onNotice(peer: Peer, notice: NoticeEnvelope): void;
  /** Entries that a removed device was told of and could not take into its log: others may be able to. */
  told(): readonly Uint8Array[];
  /** Puts the notices that are due into the commit that is about to begin. */
  prepare(): void;
  /** The log grew: whoever is out now is told, by the one who removed it, or by all whom it left. */
  grown(change: LogChange): void;
}

export function createFarewell(office: Office, log: MeshLog): Farewell {
  const { clock, cycle, hash } = office;
  let record: FarewellRecord = { told: [], answered: [] };
  /** Who signed what was told. */
  let told: readonly DeviceId[] = [];
  let wasSaid = false;
  const noticeNotBefore = new Map<DeviceId, number>();
  /** Who is to be told as soon as we are connected. */
  const due = new Set<DeviceId>();
  let lastSerial = 0;

  function standing(): OwnStanding {
    const status = log.membership().roster.devices.get(office.self.id)?.status;
    if (status === 'left' || status === 'removed') return status;
    return isToldByMember() ? 'removed' : (status ?? 'void');
  }

  /**
   * What was told holds as long as one of those who signed it is a member here: where they are out themselves, and
   * nobody has taken it over into the log, it has force nowhere.
   */
  function isToldByMember(): boolean {
    const { members } = log.membership().roster;
    return told.some((author) => members.has(author));
  }

  function know(next: FarewellRecord): void {
    record = next;
    told = next.told.flatMap((bytes) => {
      const entry = decodeEntry(hash, bytes);
      return 'ok' in entry && isSigned(entry.ok) ? [entry.ok.author.id] : [];
    });
  }

  function change(next: Partial<FarewellRecord>): void {
    know({ ...record, ...next });
    const put = record;
    cycle.change('farewell', 'self', () => put);
  }

  function sayOnce(): void {
    const now = standing();
    if (wasSaid || (now !== 'removed' && now !== 'left')) return;
    wasSaid = true;
    cycle.afterwards(() => office.tell({ kind: 'removed', how: now }));
  }

  /** What says that a device was removed, and that we have applied it. Names are in none of these. */
  function proof(device: RosterDevice): Uint8Array[] {
    const { log: entries } = log.membership();
    const removals = device.revocations.flatMap((removal) => entries.get(removal) ?? []);
    const confirms = [...entries.values()].filter(
      (entry) =>
        isKind(entry, 'confirm') &&
        entry.author.id === office.self.id &&
        entry.body.applied.some((applied) => device.revocations.includes(applied)),
    );
    const found: Uint8Array[] = [];
    let bytes = 0;
    for (const entry of [...removals, ...confirms].slice(0, MAX_NOTICE_ENTRIES)) {
      bytes += entry.bytes.length;
      if (bytes > NOTICE_BYTES) break;
      found.push(entry.bytes);
    }
    return found;
  }

  /**
   * A removal of this device that a member signed, or says that it has applied, though it builds on entries that
   * are not held here or is held back. Whose word is enough could have removed this device itself.
   */
  function saysRemoved(entry: Entry, confirm: Entry | undefined): boolean {
    const { mesh } = log.membership();
    if (!isKind(entry, 'revoke') || entry.body.target !== office.self.id || entry.mesh !== mesh) return false;
    if (isByMember(entry)) return true;
    return confirm !== undefined && isKind(confirm, 'confirm') && confirm.body.applied.includes(entry.hash);
  }

  function isByMember(entry: Entry): boolean {
    return log.membership().roster.members.has(entry.author.id) && isSigned(entry);
  }

  /** By somebody who is known here, whatever has become of it. */
  function isSigned(entry: Entry): boolean {
    const { roster, mesh } = log.membership();
    const author = roster.devices.get(entry.author.id);
    if (author === undefined || entry.mesh !== mesh) return false;
    return office.engine.verify(author.keys.signing, entrySignable(entry.hash), entry.signature);
  }

  function notify(device: RosterDevice): void {
    const now = clock.elapsed();
    if (standing() !== 'member' || now < (noticeNotBefore.get(device.id) ?? 0)) return;
    noticeNotBefore.set(device.id, now + NOTICE_PAUSE);
    const entries = proof(device);
    if (entries.length === 0) return;
    lastSerial = Math.max(lastSerial + 1, Math.floor(clock.now()));
    const context = pairContext(hash, office.mesh, office.self, device);
    const packet = encodeEnvelope(
      { kind: 'notice', from: office.self.id, serial: lastSerial, entries },
      (covered) =>
        office.account.sign({ label: ENVELOPE_LABEL, digest: envelopeDigest(hash, context, covered) }),
    );
    cycle.afterwards(() => {
      office.transport.publish(device.id, packet).catch((error: unknown) => office.fatal(error));
    });
  }

  return {
    async load() {
      know((await office.keystore.read('farewell', 'self')) ?? record);
      wasSaid = false;
      sayOnce();
    },
    standing,

    prepare() {
      if (!office.isOnline()) return;
      for (const id of due) {
        const device = log.membership().roster.devices.get(id);
        if (device !== undefined) notify(device);
      }
      due.clear();
    },

    answered: () => record.answered as readonly DeviceId[],
    told: () => record.told,

    onStranger(from) {
      const device = log.membership().roster.devices.get(from);
      if (device === undefined || (device.status !== 'removed' && device.status !== 'left')) {
        return office.count('sender-unknown');
      }
      office.count('sender-removed');
      notify(device);
    },

    onNotice(peer, { entries: list }) {
      const entries: Entry[] = [];
      for (const bytes of list) {
        const entry = decodeEntry(hash, bytes);
        if ('refused' in entry) return office.count(entry.refused);
        entries.push(entry.ok);
      }
      const outcomes = log.admit(entries);
      outcomes.forEach((outcome, i) => {
        const entry = entries[i];
        if (outcome.outcome === 'admitted' || outcome.outcome === 'already' || entry === undefined) return;
        const confirm = entries.find((other) => {
          return other.author.id === peer.id && isKind(other, 'confirm') && isByMember(other);
        });
        if (!saysRemoved(entry, confirm) || standing() === 'removed') return;
        change({ told: [entry, ...(confirm === undefined ? [] : [confirm])].map(({ bytes }) => bytes) });
      });
      const now = standing();
      if (now !== 'removed' && now !== 'left') return office.count('notice-idle');
      if (peer.standing === 'member' && !record.answered.includes(peer.id))
        change({ answered: [...record.answered, peer.id] });
      sayOnce();
      cycle.afterwards(() => office.tell({ kind: 'farewell', answered: record.answered as DeviceId[] }));
    },

    grown({ now, before, entries }) {
      for (const { id } of before.devices.values()) {
        const device = now.devices.get(id);
        if (device === undefined || id === office.self.id) continue;
        if (before.devices.get(id)?.status === device.status) continue;
        // One that is out itself does not tell anybody any more.
        const isOurs = entries.some(
          ({ author, body }) =>
            body.kind === 'revoke' &&
            body.target === id &&
            (author.id === office.self.id || !now.members.has(author.id)),
        );
        if (device.status === 'left' || (device.status === 'removed' && isOurs)) {
          due.add(id);
        }
      }
      sayOnce();
    },
  };
}
