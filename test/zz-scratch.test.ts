import { it } from 'vitest';
import { connect as connectRaw } from 'mqtt';
import { startMosquitto } from './brokers/mosquitto.ts';
it('x', async () => {
  for (const v of [4, 5] as const) for (const extra of ['message_size_limit 2000', 'max_packet_size 2000']) {
    const b = await startMosquitto({ extra: [extra] });
    const c = connectRaw(b.url, { protocolVersion: v, reconnectPeriod: 0 });
    c.on('packetreceive', p => console.log(v, extra, 'got', p.cmd, p.reasonCode, JSON.stringify(p.properties ?? {})));
    c.on('close', () => console.log('closed'));
    await new Promise<void>(r => c.once('connect', () => r()));
    for (const n of [1900, 2000, 2001, 100]) { console.log('send', n); c.publish('/mesh/a', Buffer.alloc(n), { qos: 1 }, (e) => console.log('answer', n, e?.message)); await new Promise(r => setTimeout(r, 300)); }
    c.end(true); await b.stop();
  }
}, 60000);
