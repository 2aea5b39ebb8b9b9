/** Three devices at a broker, made and paired by the program itself, and what was sent among them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../../src/adapters/rpc/protocol.ts';
import type { DeviceId } from '../../src/entities/device-id.ts';
import { eventually } from '../brokers/loopback.ts';
import { as, mesh as command } from '../process/mesh-process.ts';
import { pair } from '../process/pairing-cast.ts';
import type { Arrived } from './books.ts';
import type { ForgetfulBroker } from './broker.ts';
import { wrongClock } from './clock.ts';
import { makeDisk } from './disk.ts';
import { Keeper } from './keeper.ts';
import { Ledger } from './ledger.ts';
import { DEVICES } from './plan.ts';
import { type Complain, Station } from './station.ts';

const NAMES = ['laptop', 'phone', 'pi'];
const PATIENCE = 20_000;

export interface Member {
  readonly station: Station;
  readonly keeper: Keeper;
  /** What its reader has been handed so far, in order. */
  readonly inbox: Arrived[];
}

export interface Mesh {
  readonly members: readonly Member[];
  readonly broker: ForgetfulBroker;
  readonly ledger: Ledger;
  othersOf(station: Station): readonly DeviceId[];
  /** Ends all of it; what is on the disks stays if `keep`. */
  end(keep: boolean): Promise<void>;
}

export async function makeMesh(dir: string, broker: ForgetfulBroker, complain: Complain): Promise<Mesh> {
  const members: Member[] = [];
  const end = async (keep: boolean): Promise<void> => {
    await Promise.all(members.map(({ keeper }) => keeper.rest()));
    await Promise.all(members.map(({ station }) => station.close()));
    for (const { station } of members) await station.disk.release(keep);
  };
  try {
    await mkdir(dir, { recursive: true });
    for (const name of NAMES.slice(0, DEVICES)) {
      const disk = await makeDisk(join(dir, name));
      const place = { home: join(disk.path, 'home'), keyFile: join(dir, `${name}.key`), name };
      const station = new Station(place, disk, wrongClock(join(dir, `${name}.clock`)), complain);
      members.push({ station, keeper: new Keeper(station), inbox: [] });
    }
    await pairAll(members, broker.url);
  } catch (error) {
    await end(true);
    throw error;
  }
  return {
    members,
    broker,
    ledger: new Ledger(),
    othersOf: (station) => members.flatMap((one) => (one.station === station ? [] : one.station.id)),
    end,
  };
}

async function pairAll(members: readonly Member[], brokerUrl: string): Promise<void> {
  const [founder, ...rest] = members;
  if (founder === undefined) return;
  const { place } = founder.station;
  const made = await command(['init', '--name', place.name, '--broker', brokerUrl, ...as(place)]);
  if (made.status !== 0) throw new Error(made.stdout + made.stderr);
  founder.station.id = String(made.events[0]?.deviceId) as DeviceId;
  founder.keeper.start();
  for (const { station, keeper } of rest) {
    const { join: joined } = await pair(place, station.place, '--name', station.place.name);
    if (joined.status !== 0) throw new Error(joined.stdout + joined.stderr);
    station.id = String(joined.events.at(-1)?.deviceId) as DeviceId;
    keeper.start();
  }
  for (const { station } of members) {
    const client = await station.client();
    await eventually(
      async () => {
        const status = await client.call('status');
        return isObject(status) && status.members === members.length;
      },
      `${station.place.name} knows everybody`,
      PATIENCE,
    );
    client.close();
  }
}
