import { describe, expect, it } from 'vitest';
import { MemoryBroker } from '../../../src/adapters/memory/memory-transport.ts';
import { realClock } from '../../brokers/loopback.ts';
import { device, transportContract, Witness } from '../../contracts/transport.ts';

describe('the memory broker', () => {
  transportContract(async () => {
    const broker = new MemoryBroker({ clock: realClock, retryAfter: 5 });
    return {
      transport: (id) => broker.transport(id),
      crash: async () => broker.stop({ forgets: true }),
      restart: async () => broker.start(),
      remembers: false,
      stop: async () => broker.stop({ forgets: true }),
    };
  });

  const LAPTOP = device(1);
  const PHONE = device(2);

  it('keeps its queues through a stop that does not forget', async () => {
    const broker = new MemoryBroker({ clock: realClock, retryAfter: 5 });
    const laptop = broker.transport(LAPTOP);
    const phone = broker.transport(PHONE);
    const laptopSaw = new Witness();
    const first = new Witness();
    laptop.open(laptopSaw);
    phone.open(first);
    await Promise.all([laptopSaw.connectedTimes(1), first.connectedTimes(1)]);
    await phone.close();
    await laptop.publish(PHONE, Uint8Array.of(1));
    broker.stop({ forgets: false });
    broker.start();
    const again = broker.transport(PHONE);
    const second = new Witness();
    again.open(second);
    await second.has(1);
    expect(second.connections).toEqual([{ broker: 'memory', resumed: true }]);
    await Promise.all([laptop.close(), again.close()]);
  });

  it('ends the first of two connections of one device, for good', async () => {
    const broker = new MemoryBroker({ clock: realClock, retryAfter: 5 });
    const transport = broker.transport(LAPTOP);
    const twin = broker.transport(LAPTOP);
    const saw = new Witness();
    const twinSaw = new Witness();
    transport.open(saw);
    await saw.connectedTimes(1);
    twin.open(twinSaw);
    await twinSaw.connectedTimes(1);
    await saw.failed(1);
    expect(saw.failures[0]?.error.code).toBe('broker-taken-over');
    expect(saw.failures[0]?.permanent).toBe(true);
    expect(twinSaw.failures).toEqual([]);
    await Promise.all([transport.close(), twin.close()]);
  });

  it('drops one connection and keeps what was on its way', async () => {
    const broker = new MemoryBroker({ clock: realClock, retryAfter: 5 });
    const laptop = broker.transport(LAPTOP);
    const phone = broker.transport(PHONE);
    const laptopSaw = new Witness();
    const phoneSaw = new Witness();
    laptop.open(laptopSaw);
    phone.open(phoneSaw);
    await Promise.all([laptopSaw.connectedTimes(1), phoneSaw.connectedTimes(1)]);
    expect(await laptop.publish(PHONE, Uint8Array.of(1))).toBe('taken');
    broker.drop(PHONE);
    await phoneSaw.connectedTimes(2);
    await phoneSaw.has(1);
    expect(laptopSaw.failures).toEqual([]);
    await Promise.all([laptop.close(), phone.close()]);
  });

  it('answers `too-large` above its limit, and drops what no longer fits into a queue', async () => {
    const broker = new MemoryBroker({ clock: realClock, packetBytes: 4, queued: 2 });
    const laptop = broker.transport(LAPTOP);
    const phone = broker.transport(PHONE);
    const laptopSaw = new Witness();
    const phoneSaw = new Witness();
    laptop.open(laptopSaw);
    phone.open(phoneSaw);
    await Promise.all([laptopSaw.connectedTimes(1), phoneSaw.connectedTimes(1)]);
    expect(await laptop.publish(PHONE, new Uint8Array(5))).toBe('too-large');
    await phone.close();
    for (const n of [1, 2, 3]) expect(await laptop.publish(PHONE, Uint8Array.of(n))).toBe('taken');
    const again = broker.transport(PHONE);
    const saw = new Witness();
    again.open(saw);
    await saw.has(2);
    await laptop.publish(PHONE, Uint8Array.of(4));
    await saw.has(3);
    expect(saw.packets).toEqual([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(4)]);
    await Promise.all([laptop.close(), again.close()]);
  });
});
