/**
 * What a transport owes, whatever carries the packets. Runs on the memory broker and over real ones; the worlds
 * differ in nothing but how their broker is started, stopped and broken.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeviceId, deviceIdFromBytes } from '../../src/entities/device-id.ts';
import type { MeshError } from '../../src/entities/errors.ts';
import type { Transport, TransportEvents } from '../../src/usecases/ports/transport.ts';
import { eventually } from '../brokers/loopback.ts';

export interface TransportWorld {
  /** A transport that tries again after very short pauses. The same device has the same session each time. */
  transport(device: DeviceId): Transport;
  /** The broker ends without a word. */
  crash(): Promise<void>;
  restart(): Promise<void>;
  /** True where queues outlive a crash of the broker. */
  readonly remembers: boolean;
  /** The largest packet to try; 1 MiB where nothing is said. */
  readonly largest?: number;
  stop(): Promise<void>;
}

/** What a device saw, in order. */
export class Witness implements TransportEvents {
  readonly log: string[] = [];
  readonly packets: Uint8Array[] = [];
  readonly connections: { readonly broker: string; readonly resumed: boolean }[] = [];
  readonly failures: { readonly error: MeshError; readonly permanent: boolean }[] = [];

  packet(bytes: Uint8Array): void {
    this.log.push('packet');
    this.packets.push(bytes);
  }

  connected(to: { readonly broker: string; readonly resumed: boolean }): void {
    this.log.push('connected');
    this.connections.push(to);
  }

  disconnected(why: { readonly error: MeshError; readonly permanent: boolean }): void {
    this.log.push('disconnected');
    this.failures.push(why);
  }

  connectedTimes(times: number): Promise<void> {
    return eventually(() => this.connections.length >= times, `connected ${times} times`);
  }

  has(packets: number): Promise<void> {
    return eventually(() => this.packets.length >= packets, `${packets} packets`);
  }

  failed(times: number): Promise<void> {
    return eventually(() => this.failures.length >= times, `disconnected ${times} times`);
  }
}

export function device(number: number): DeviceId {
  const id = deviceIdFromBytes(new Uint8Array(20).fill(number));
  if (id === undefined) throw new Error('not a device id');
  return id;
}

const LAPTOP = device(1);
const PHONE = device(2);
const PI = device(3);

const numbered = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 0xff);
const counting = (from: number, to: number): Uint8Array[] =>
  Array.from({ length: to - from }, (_, i) => numbered(from + i));

export function transportContract(makeWorld: () => Promise<TransportWorld>): void {
  describe('a transport', () => {
    let world: TransportWorld;
    let opened: Transport[];

    beforeEach(async () => {
      world = await makeWorld();
      opened = [];
    });

    afterEach(async () => {
      await Promise.all(opened.map((transport) => transport.close()));
      await world.stop();
    });

    const join = async (who: DeviceId): Promise<{ transport: Transport; saw: Witness }> => {
      const transport = world.transport(who);
      opened.push(transport);
      const saw = new Witness();
      transport.open(saw);
      await saw.connectedTimes(1);
      return { transport, saw };
    };

    it('tells nothing while it is being opened', async () => {
      const transport = world.transport(LAPTOP);
      opened.push(transport);
      const saw = new Witness();
      transport.open(saw);
      expect(saw.log).toEqual([]);
      await saw.connectedTimes(1);
      expect(saw.log).toEqual(['connected']);
      expect(saw.connections[0]?.resumed).toBe(false);
    });

    it('carries bytes unchanged, none, many and all values of them', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      const largest = world.largest ?? 1 << 20;
      const values = Uint8Array.from({ length: 256 }, (_, i) => i);
      const many = Uint8Array.from({ length: Math.min(largest, 65_536) }, (_, i) => (i * 7919) >> 3);
      const more = Uint8Array.from({ length: largest }, (_, i) => (i * 104_729) >> 5);
      const sent = [new Uint8Array(0), values, many, more];
      for (const bytes of sent) expect(await laptop.transport.publish(PHONE, bytes)).toBe('taken');
      await phone.saw.has(4);
      expect(phone.saw.packets).toHaveLength(4);
      for (const [i, bytes] of sent.entries())
        expect(Buffer.compare(bytes, phone.saw.packets[i] ?? bytes)).toBe(0);
      expect(phone.saw.packets[0]).toHaveLength(0);
    });

    it('hands over plain bytes that nobody else holds', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      const ours = Uint8Array.of(1, 2, 3);
      await laptop.transport.publish(PHONE, ours);
      await phone.saw.has(1);
      const theirs = phone.saw.packets[0];
      expect(theirs?.constructor).toBe(Uint8Array);
      expect(theirs?.buffer.byteLength).toBe(3);
      ours.fill(0);
      expect(theirs).toEqual(Uint8Array.of(1, 2, 3));
    });

    it('brings every device its own inbox and nobody else’s', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      const pi = await join(PI);
      await laptop.transport.publish(PHONE, Uint8Array.of(1));
      await laptop.transport.publish(PI, Uint8Array.of(2));
      await pi.transport.publish(LAPTOP, Uint8Array.of(3));
      await Promise.all([laptop.saw.has(1), phone.saw.has(1), pi.saw.has(1)]);
      await laptop.transport.publish(LAPTOP, Uint8Array.of(4));
      await laptop.saw.has(2);
      expect(phone.saw.packets).toEqual([Uint8Array.of(1)]);
      expect(pi.saw.packets).toEqual([Uint8Array.of(2)]);
      expect(laptop.saw.packets).toEqual([Uint8Array.of(3), Uint8Array.of(4)]);
    });

    it('keeps the order of what one device sends, also when nothing is awaited', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      const sent = counting(0, 500);
      const outcomes = await Promise.all(sent.map((bytes) => laptop.transport.publish(PHONE, bytes)));
      expect(new Set(outcomes)).toEqual(new Set(['taken']));
      await phone.saw.has(500);
      expect(phone.saw.packets).toEqual(sent);
    });

    it('brings what was sent while a device was away, in order, and says that it was kept', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      await phone.transport.close();
      const sent = counting(0, 50);
      for (const bytes of sent) expect(await laptop.transport.publish(PHONE, bytes)).toBe('taken');
      const back = await join(PHONE);
      expect(back.saw.connections[0]?.resumed).toBe(true);
      await back.saw.has(50);
      expect(back.saw.packets).toEqual(sent);
      expect(phone.saw.packets).toEqual([]);
    });

    it('takes a packet for a device that never was there, and leaves nothing lying about for it', async () => {
      const laptop = await join(LAPTOP);
      expect(await laptop.transport.publish(PI, Uint8Array.of(1))).toBe('taken');
      const pi = await join(PI);
      expect(pi.saw.connections[0]?.resumed).toBe(false);
      expect(await laptop.transport.publish(PI, Uint8Array.of(2))).toBe('taken');
      await pi.saw.has(1);
      expect(pi.saw.packets).toEqual([Uint8Array.of(2)]);
    });

    it('answers `offline` before it is opened, after it was closed, and without a broker', async () => {
      const transport = world.transport(LAPTOP);
      opened.push(transport);
      expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
      const saw = new Witness();
      transport.open(saw);
      await saw.connectedTimes(1);
      await world.crash();
      await saw.failed(1);
      expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
      await transport.close();
      expect(await transport.publish(PHONE, Uint8Array.of(1))).toBe('offline');
    });

    it('answers every publish when the broker goes away in the middle', async () => {
      const laptop = await join(LAPTOP);
      await join(PHONE);
      const answers = counting(0, 300).map((bytes) => laptop.transport.publish(PHONE, bytes));
      await world.crash();
      const outcomes = await Promise.all(answers);
      expect(outcomes.every((outcome) => outcome === 'taken' || outcome === 'offline')).toBe(true);
    });

    it('comes back by itself when the broker does, and works again', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      await world.crash();
      await Promise.all([laptop.saw.failed(1), phone.saw.failed(1)]);
      expect(phone.saw.failures[0]?.error.exit).toBe(5);
      expect(phone.saw.failures[0]?.permanent).toBe(false);
      await world.restart();
      await Promise.all([laptop.saw.connectedTimes(2), phone.saw.connectedTimes(2)]);
      expect(phone.saw.connections[1]?.resumed).toBe(world.remembers);
      expect(await laptop.transport.publish(PHONE, Uint8Array.of(9))).toBe('taken');
      await phone.saw.has(1);
      expect(phone.saw.packets).toEqual([Uint8Array.of(9)]);
    });

    it('says once that the broker is gone, however often it tries', async () => {
      const laptop = await join(LAPTOP);
      await world.crash();
      await laptop.saw.failed(1);
      const codes = (): string[] => laptop.saw.failures.map(({ error }) => error.code);
      await eventually(() => codes().includes('broker-unreachable'), 'unreachable');
      await world.restart();
      await laptop.saw.connectedTimes(2);
      expect(new Set(codes()).size).toBe(codes().length);
    });

    it('calls nothing any more once it is closed, and can be closed twice', async () => {
      const laptop = await join(LAPTOP);
      const phone = await join(PHONE);
      const sending = counting(0, 100).map((bytes) => laptop.transport.publish(PHONE, bytes));
      await phone.transport.close();
      const seen = phone.saw.log.length;
      await Promise.all(sending);
      await phone.transport.close();
      await world.crash();
      await laptop.saw.failed(1);
      expect(phone.saw.log).toHaveLength(seen);
    });

    it('can be closed before it is opened, and while it connects', async () => {
      await world.transport(PI).close();
      const transport = world.transport(PI);
      const saw = new Witness();
      transport.open(saw);
      await transport.close();
      expect(saw.log).toEqual([]);
    });

    it('refuses to be opened twice', async () => {
      const laptop = await join(LAPTOP);
      expect(() => laptop.transport.open(new Witness())).toThrow();
    });
  });
}
