/** What `mesh doctor` needs of this platform. */
import type { Checkup } from '../../adapters/api/ports.ts';
import type { DeviceId } from '../../entities/device-id.ts';
import type { MqttPlatform, MqttSettings } from '../mqtt/settings.ts';
import { checkHome, homeAt } from '../node/home.ts';

/** A session that a check left behind, because it was interrupted, is gone a minute later. */
const EXPIRY_SECONDS = 60;

export interface CheckupParts {
  readonly home: string;
  readonly self: DeviceId;
  /** The way to the broker as it is set now. Throws where there is none. */
  readonly access: () => Promise<Omit<MqttSettings, 'clientId' | 'device'>>;
  readonly platform: MqttPlatform;
}

export function createCheckup({ home, self, access, platform }: CheckupParts): Checkup {
  return {
    files: () => checkHome(homeAt(home)),
    // The embedded broker's logins are named after their devices.
    oneSessionPerLogin: async () => (await access()).username === self,
    async secondClient(clientId, clean) {
      const { MqttTransport } = await import('../mqtt/mqtt-transport.ts');
      const limits = { sessionExpirySeconds: clean ? 0 : EXPIRY_SECONDS };
      return new MqttTransport({ ...(await access()), clientId, device: self, clean, limits }, platform);
    },
  };
}
