/** The one commit that makes a newcomer a member: the new log, how to reach the broker, the first keys. */
import { toHex } from '../../entities/bytes.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { AgreementKey } from '../../entities/keys.ts';
import type { LinkBroker } from '../../entities/pairing/link.ts';
import type { SixthMessage } from '../../entities/pairing/messages.ts';
import type { Membership } from '../../entities/roster/membership.ts';
import { fromUtf8 } from '../../entities/text.ts';
import type { Change, Keystore, RecordKind } from '../ports/keystore.ts';
import type { AddresseeRecord, LotRecord, MessageRecord, PairRecord } from '../ports/records.ts';
import type { SettingKey } from '../settings.ts';

export interface Entering {
  readonly former: Membership;
  readonly membership: Membership;
  readonly inviter: DeviceId;
  readonly theirKeys: readonly AgreementKey[];
  readonly ourKeys: readonly Uint8Array[];
  readonly broker: LinkBroker;
  /** What the person set for this broker on this device. */
  readonly settings: readonly (readonly [key: string, value: string])[];
  /** From the inviter, for its own broker. */
  readonly login: SixthMessage['login'];
  /** Now, by this device's clock: what the inviter showed over our nonce is as fresh as a hello. */
  readonly at: number;
  /** Burns a one-time key that nobody may use any more. */
  readonly burn: (key: Uint8Array) => void;
}

export type EnteringStore = Pick<Keystore, 'read' | 'keys'>;

/** What belongs to a mesh that is left behind, besides its log. */
const OF_THE_MESH: readonly RecordKind[] = ['pair', 'ratchet', 'goods', 'synchronised', 'farewell', 'invite'];

/** Of the broker that was set before: its login must not be shown to another one. */
const OF_THE_BROKER: readonly SettingKey[] = [
  'broker-user',
  'broker-password',
  'broker-ca',
  'broker-pin',
  'topic-prefix',
];

export async function enterMesh(keystore: EnteringStore, entering: Entering): Promise<readonly Change[]> {
  const { former, membership } = entering;
  const returns = former.mesh === membership.mesh;
  const changes = new Map<string, Change>();
  const note = (change: Change): void => {
    changes.set(`${change.kind}\0${change.key}`, change);
  };
  const remove = (kind: RecordKind, keys: readonly string[]): void => {
    // The compiler cannot see that a removal is one of every kind.
    for (const key of keys) note({ kind, key, remove: true } as Change);
  };
  remove('joining', ['self']);
  remove('entry', keystore.keys('entry'));
  for (const [order, entry] of [...membership.log.values()].entries()) {
    note({ kind: 'entry', key: entry.hash, put: { order, bytes: entry.bytes } });
  }
  // What it shares with whoever it has just learned to be out goes in the commit that says so, as in a running mesh.
  const isOut = (device: string): boolean => {
    const status = membership.roster.devices.get(device as DeviceId)?.status;
    return !returns || (status !== 'member' && status !== 'void');
  };
  for (const key of keystore.keys('lot')) {
    const lot = await keystore.read('lot', key);
    if (lot === undefined) continue;
    note({ kind: 'lot', key, put: await endedLot(keystore, lot, isOut, returns ? 'revoked' : 'mesh-left') });
  }
  for (const device of keystore.keys('pair').filter(isOut)) {
    const pair = await keystore.read('pair', device);
    for (const key of pair?.ourKeys ?? []) entering.burn(key);
    remove('pair', [device]);
    remove('ratchet', pair?.sessions.map(({ id }) => id) ?? []);
  }
  if (!returns) for (const kind of OF_THE_MESH) remove(kind, keystore.keys(kind));
  note({ kind: 'synchronised', key: 'self', put: { at: entering.at } });
  remove('setting', OF_THE_BROKER);
  for (const [key, put] of settingsOf(entering)) note({ kind: 'setting', key, put });
  const pair = returns ? await keystore.read('pair', entering.inviter) : undefined;
  for (const key of pair?.ourKeys ?? []) entering.burn(key);
  note({ kind: 'pair', key: entering.inviter, put: pairWith(entering, pair) });
  return [...changes.values()];
}

/**
 * Whoever it was for is left behind, void perhaps, with no session and no stream any more: what was accepted ends here,
 * and the next start writes it down as ended.
 */
async function endedLot(
  keystore: Pick<Keystore, 'read'>,
  lot: LotRecord,
  isOut: (device: string) => boolean,
  reason: string,
): Promise<LotRecord> {
  const messages: MessageRecord[] = [];
  for (const message of lot.messages) {
    const to: AddresseeRecord[] = [];
    for (const addressee of message.to) {
      const outgoing = (await keystore.read('pair', addressee.device))?.outgoing ?? undefined;
      const { number } = addressee;
      if (addressee.over || !isOut(addressee.device)) to.push(addressee);
      else if (number <= (outgoing?.through ?? 0)) to.push({ ...addressee, end: 'delivered', over: true });
      else {
        const mayHaveArrived = number <= (outgoing?.offered ?? 0);
        to.push({ ...addressee, end: 'failed', over: true, reason, mayHaveArrived });
      }
    }
    messages.push({ ...message, to });
  }
  return { ...lot, messages };
}

/** The inviter forgets the keys that were out before in the same way. */
function pairWith({ theirKeys, ourKeys }: Entering, before: PairRecord | undefined): PairRecord {
  const none: PairRecord = {
    sessions: [],
    retired: [],
    theirKeys: [],
    ourKeys: [],
    serial: 0,
    seenSerials: [],
    outgoing: null,
    incoming: null,
    formerIncoming: [],
    frozen: false,
  };
  return { ...(before ?? none), theirKeys, ourKeys };
}

/** In this order a later one counts: the link, what the person set here, a login for this very device. */
function settingsOf({ broker, settings, login }: Entering): Map<string, string> {
  const values = new Map<string, string>([['broker', broker.url]]);
  if (broker.pin !== undefined) values.set('broker-pin', toHex(broker.pin));
  if (broker.topicPrefix !== undefined) values.set('topic-prefix', broker.topicPrefix);
  if (broker.login !== undefined) {
    values.set('broker-user', broker.login.user);
    values.set('broker-password', textOf(broker.login.password.expose()));
  }
  for (const [key, value] of settings) values.set(key, value);
  if (login !== undefined) {
    values.set('broker-user', login.name);
    values.set('broker-password', textOf(login.password.expose()));
  }
  return values;
}

function textOf(bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new Error('a login that was read as text is none');
  return text;
}
