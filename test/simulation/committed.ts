/**
 * What a store holds, as it has confirmed it: for whoever checks that nothing else is shown, and that a device
 * which has applied a revocation keeps nothing of the one that was revoked, and takes nothing from it (P4).
 */
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { type EntryHash, isKind } from '../../src/entities/roster/entry.ts';
import { decodeEntry } from '../../src/entities/roster/entry-codec.ts';
import type { Change, Keystore } from '../../src/usecases/ports/keystore.ts';
import type { LotRecord, PairRecord } from '../../src/usecases/ports/records.ts';

/** What is looked at of a store. */
const KINDS = ['pair', 'lot', 'entry', 'group-sending'] as const;

export class Committed {
  readonly pairs = new Map<string, PairRecord>();
  readonly lots = new Map<string, LotRecord>();
  readonly entries = new Set<string>();
  /** Entries that remove somebody. */
  readonly removals = new Set<EntryHash>();
  /** Whom they remove; never the device itself. */
  readonly removed = new Set<string>();
  /** Every message that was ever accepted, by its id, and for whom. */
  readonly messages = new Map<string, { readonly group: string | null; readonly to: ReadonlySet<string> }>();
  /** Who was given the key of the session that is in use for a circle. */
  readonly #holders = new Map<string, readonly string[]>();
  #self = '';

  static async load(keystore: Pick<Keystore, 'read' | 'keys'>, self: string): Promise<Committed> {
    const committed = new Committed();
    committed.#self = self;
    const changes: Change[] = [];
    for (const kind of KINDS) {
      for (const key of keystore.keys(kind)) {
        const put = await keystore.read(kind, key);
        if (put !== undefined) changes.push({ kind, key, put } as Change);
      }
    }
    committed.#merge(changes);
    return committed;
  }

  watch(keystore: Keystore, complain: (problem: string) => void): Keystore {
    return {
      read: (kind, key) => keystore.read(kind, key),
      keys: (kind) => keystore.keys(kind),
      position: () => keystore.position(),
      close: () => keystore.close(),
      commit: async (changes) => {
        // As they are now: what the caller does with them afterwards must not matter.
        const copied = changes.flatMap((change): Change[] => {
          if (change.kind === 'inbox' && 'put' in change) return [change];
          return (KINDS as readonly string[]).includes(change.kind) ? [structuredClone(change)] : [];
        });
        await keystore.commit(changes);
        for (const change of copied) {
          if (change.kind !== 'inbox' || !('put' in change)) continue;
          if (this.removed.has(change.put.from))
            complain('P4: took a message from a device that it has removed');
        }
        this.#merge(copied);
        this.#check(keystore, complain);
      },
    };
  }

  #merge(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'pair') set(this.pairs, change.key, 'put' in change ? change.put : undefined);
      if (change.kind === 'lot') {
        set(this.lots, change.key, 'put' in change ? change.put : undefined);
        if ('put' in change) this.#address(change.put);
      }
      if (change.kind === 'group-sending') {
        const holders = 'put' in change ? change.put.holders.map(({ device }) => device) : undefined;
        set(this.#holders, change.key, holders);
      }
      if (change.kind === 'entry' && 'put' in change) this.#note(change.put.bytes);
    }
  }

  #address({ messages }: LotRecord): void {
    for (const { id, group, to } of messages) {
      const name = toHex(id);
      if (this.messages.has(name)) continue;
      this.messages.set(name, { group, to: new Set(to.map(({ device }) => device)) });
    }
  }

  #note(bytes: Uint8Array): void {
    const entry = decodeEntry(nodePrimitives.hash, bytes);
    if ('refused' in entry) throw new Error(`a store holds an entry that is refused as ${entry.refused}`);
    const { ok } = entry;
    this.entries.add(ok.hash);
    if (isKind(ok, 'revoke')) this.#remove(ok.hash, ok.body.target);
    if (isKind(ok, 'leave')) this.#remove(ok.hash, ok.author.id);
  }

  #remove(entry: EntryHash, device: string): void {
    this.removals.add(entry);
    if (device !== this.#self) this.removed.add(device);
  }

  #check(keystore: Pick<Keystore, 'keys'>, complain: (problem: string) => void): void {
    for (const device of this.removed) {
      if (this.pairs.has(device))
        complain('P4: still holds what it shared with a device that it has removed');
    }
    for (const { messages } of this.removed.size === 0 ? [] : this.lots.values()) {
      for (const { device, over } of messages.flatMap(({ to }) => to)) {
        if (!over && this.removed.has(device)) complain('P4: a message waits for a device that was removed');
      }
    }
    if (this.removed.size > 0) this.#checkGroups(keystore, complain);
    const sessions = new Set([...this.pairs.values()].flatMap((pair) => pair.sessions.map(({ id }) => id)));
    if (keystore.keys('ratchet').some((id) => !sessions.has(id))) {
      complain('P4: a ratchet was kept that belongs to no pair');
    }
    if (keystore.keys('goods').some((lot) => !this.lots.has(lot)))
      complain('payloads were kept of no message');
  }

  #checkGroups(keystore: Pick<Keystore, 'keys'>, complain: (problem: string) => void): void {
    for (const holders of this.#holders.values()) {
      if (holders.some((device) => this.removed.has(device)))
        complain('P4: goes on with a group session whose key a device has that it has removed');
    }
    if (keystore.keys('group-key').some((name) => this.removed.has(name.split('.')[0] ?? '')))
      complain('P4: still holds the key of a group session of a device that it has removed');
  }
}

function set<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
