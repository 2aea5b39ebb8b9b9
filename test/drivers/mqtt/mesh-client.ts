/** A transport as the composition root makes it, but impatient. */
import { randomBytes } from 'node:crypto';
import { MqttTransport } from '../../../src/drivers/mqtt/mqtt-transport.ts';
import type { KnownVersions, Limits, MqttSettings } from '../../../src/drivers/mqtt/settings.ts';
import type { DeviceId } from '../../../src/entities/device-id.ts';
import { realClock, realRandomness } from '../../brokers/loopback.ts';

export const IMPATIENT: Partial<Limits> = {
  connect: 5_000,
  versionAnswer: 1_000,
  goodbye: 500,
  firstPause: 5,
  longestPause: 50,
  refusedPause: 50,
};

export function meshClient(
  urls: string | readonly string[],
  device: DeviceId,
  more: Partial<MqttSettings> = {},
  versions: KnownVersions = new Map(),
): MqttTransport {
  const settings: MqttSettings = {
    urls: typeof urls === 'string' ? [urls] : urls,
    clientId: randomBytes(8).toString('hex'),
    device,
    ...more,
    limits: { ...IMPATIENT, ...more.limits },
  };
  return new MqttTransport(settings, { clock: realClock, randomness: realRandomness, versions });
}
