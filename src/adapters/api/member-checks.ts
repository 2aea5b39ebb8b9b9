/** What is known of each member, and what the broker was seen to do with what they send. */
import type { DeviceId } from '../../entities/device-id.ts';
import type { IncidentRecord } from '../../usecases/ports/records.ts';
import { type Check, fine, wrong } from './check.ts';
import type { ApiPorts } from './ports.ts';

const DAY = 86_400_000;
const CONDUCT_SHOWN = 7 * DAY;

export interface PeopleCheckPorts extends Pick<ApiPorts, 'clock' | 'self'> {
  readonly membership: () => {
    readonly roster: {
      readonly members: ReadonlySet<DeviceId>;
      readonly devices: ReadonlyMap<DeviceId, { readonly id: DeviceId; readonly name: string | undefined }>;
    };
  };
  readonly messenger: {
    status(): {
      readonly peers: readonly {
        readonly deviceId: DeviceId;
        readonly waiting: number;
        readonly lastHeard: number | undefined;
        readonly withheldSince: number | undefined;
      }[];
      readonly incidents: readonly IncidentRecord[];
    };
  };
}

export function* memberChecks({ membership, messenger, clock, self }: PeopleCheckPorts): Generator<Check> {
  const { roster } = membership();
  const peers = new Map(messenger.status().peers.map((peer) => [peer.deviceId, peer]));
  for (const deviceId of roster.members) {
    const device = roster.devices.get(deviceId);
    if (deviceId === self || device === undefined) continue;
    const peer = peers.get(deviceId);
    const heard = peer?.lastHeard;
    const waiting = peer?.waiting ?? 0;
    const silence = clock.elapsed() - (heard ?? 0);
    const name = device.name ?? device.id;
    const seen =
      heard === undefined
        ? `${name}: no sign of life since this process was started`
        : `${name}: last sign of life ${ago(silence)}`;
    const detail = waiting === 0 ? seen : `${seen}; ${waiting} messages wait for it`;
    const withheld = peer?.withheldSince;
    const check =
      withheld !== undefined
        ? wrong(
            'member',
            `${detail}; it answers others, and nothing of it has come here for ${lasting(clock.elapsed() - withheld)}`,
            'the broker holds back what passes between the two devices: see its log and rules, or use another one',
          )
        : waiting > 0 && silence > DAY
          ? wrong(
              'member',
              detail,
              'see that it runs and uses the same broker; if it is gone for good, revoke it',
            )
          : fine('member', detail);
    yield { ...check, deviceId };
  }
}

const CONDUCT: Readonly<Record<string, string>> = {
  'messages-withheld': 'messages that it announced did not arrive',
  'peer-withheld': 'it answered others, and nothing of it came here',
  'packets-replayed': 'packets of it came again that the broker had delivered before',
};

/** What the broker did in the last week that it should not. */
export function* brokerConduct({ messenger, membership, clock }: PeopleCheckPorts): Generator<Check> {
  const now = clock.now();
  let found = false;
  for (const { what, device, count, at, since } of messenger.status().incidents) {
    const words = CONDUCT[what];
    if (words === undefined || device === null || now - at > CONDUCT_SHOWN) continue;
    found = true;
    const name = membership().roster.devices.get(device as DeviceId)?.name ?? device;
    const time = since === undefined ? ago(now - at) : `from ${ago(now - since)} to ${ago(now - at)}`;
    const check = wrong(
      'conduct',
      `${name}, ${time}: ${words}${count > 1 ? ` (${count})` : ''}`,
      'nothing is lost by it; if it goes on, use another broker',
    );
    yield { ...check, deviceId: device as DeviceId };
  }
  if (!found)
    yield fine('conduct', 'the broker has not been seen to hold anything back or to serve it again');
}

function ago(milliseconds: number): string {
  return `${lasting(milliseconds)} ago`;
}

function lasting(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return 'less than a minute';
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}
