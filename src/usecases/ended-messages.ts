/** How messages have ended, for as long as that is remembered. */
import type { DeviceId } from '../entities/device-id.ts';
import type { Receipt } from './messaging/messenger.ts';
import type { Keystore } from './ports/keystore.ts';

export async function endedMessages(
  keystore: Pick<Keystore, 'keys' | 'read'>,
): Promise<readonly (Receipt & { readonly sentAt: number })[]> {
  const ended: (Receipt & { readonly sentAt: number })[] = [];
  for (const key of keystore.keys('ended')) {
    const record = await keystore.read('ended', key);
    for (const { id, sentAt, to } of record?.messages ?? []) {
      const deliveries = to.map(({ device, end, mayHaveArrived, reason }) => ({
        deviceId: device as DeviceId,
        state: end ?? ('delivered' as const),
        mayHaveArrived,
        reason,
      }));
      ended.push({ id, sentAt, to: deliveries });
    }
  }
  return ended.sort((a, b) => a.sentAt - b.sentAt);
}
