import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../src/drivers/node/primitives.ts';
import { toHex } from '../../src/entities/bytes.ts';
import { type DeviceId, deviceIdFromBytes } from '../../src/entities/device-id.ts';
import {
  type GroupSessionId,
  groupContext,
  hasServed,
  isOther,
  MESSAGES_BEFORE_ROTATION,
  type ReceivedGroupSession,
  readGroupMessage,
  receiveGroupKey,
} from '../../src/entities/group-session.ts';
import type { MeshId } from '../../src/entities/mesh-id.ts';
import { EVERYBODY } from '../../src/entities/roster/circle.ts';
import type { GroupId } from '../../src/entities/roster/entry.ts';

const laptop = 'laptop' as DeviceId;
const phone = 'phone' as DeviceId;
const pi = 'pi' as DeviceId;
const offered = { id: 's1' as GroupSessionId, owner: laptop, circle: EVERYBODY, firstIndex: 3 } as const;

function held(): ReceivedGroupSession {
  const received = receiveGroupKey(undefined, offered);
  if ('refused' in received) throw new Error(received.refused);
  return received.ok;
}

describe('a group session at a receiver', () => {
  it('begins with the first key that its owner sends', () => {
    expect(held()).toMatchObject({ owner: laptop, circle: EVERYBODY, firstIndex: 3 });
  });

  it('stays with its owner and its circle', () => {
    const others = [
      { ...offered, circle: 'g2' as GroupId, firstIndex: 0 },
      { ...offered, owner: phone, firstIndex: 0 },
      { ...offered, id: 's2' as GroupSessionId, firstIndex: 0 },
    ];
    for (const other of others) {
      expect(receiveGroupKey(held(), other)).toEqual({ refused: 'group-key-pinned' });
    }
  });

  it('reads each index once, index 0 included, in any order', () => {
    let session = held();
    for (const index of [5, 0, 3]) {
      const read = readGroupMessage(session, index);
      if ('refused' in read) throw new Error(read.refused);
      session = read.ok;
    }
    for (const index of [5, 0, 3]) {
      expect(readGroupMessage(session, index)).toEqual({ refused: 'group-message-replayed' });
    }
    expect(readGroupMessage(session, 4)).toHaveProperty('ok');
  });

  it('keeps what it has read when a key with an earlier index arrives', () => {
    const read = readGroupMessage(held(), 4);
    if ('refused' in read) throw new Error(read.refused);
    const again = receiveGroupKey(read.ok, { ...offered, firstIndex: 1 });
    if ('refused' in again) throw new Error(again.refused);
    expect(again.ok.firstIndex).toBe(1);
    expect(readGroupMessage(again.ok, 4)).toEqual({ refused: 'group-message-replayed' });
  });

  it('needs no key that reads no more than the one that is here', () => {
    expect(receiveGroupKey(held(), offered)).toEqual({ refused: 'group-key-known' });
    expect(receiveGroupKey(held(), { ...offered, firstIndex: 4 })).toEqual({ refused: 'group-key-known' });
  });
});

describe('a group session at its owner', () => {
  const fresh = { startedAt: 1_000_000_000, messages: 0 };
  const day = 86_400_000;

  it('serves a hundred messages and seven days', () => {
    const now = fresh.startedAt;
    expect(hasServed({ ...fresh, messages: MESSAGES_BEFORE_ROTATION - 1 }, now)).toBe(false);
    expect(hasServed({ ...fresh, messages: MESSAGES_BEFORE_ROTATION }, now)).toBe(true);
    expect(hasServed(fresh, now + 7 * day - 1)).toBe(false);
    expect(hasServed(fresh, now + 7 * day)).toBe(true);
  });

  it('has served when the clock went backwards, because its age is then unknown', () => {
    expect(hasServed(fresh, fresh.startedAt - 1)).toBe(true);
  });

  it('is over for a circle that somebody was taken out of, or came into', () => {
    expect(isOther(new Set([laptop, phone, pi]), new Set([laptop, phone]))).toBe(true);
    expect(isOther(new Set([laptop, phone]), new Set([laptop, pi]))).toBe(true);
    expect(isOther(new Set([laptop, phone]), new Set([laptop, phone, pi]))).toBe(true);
    expect(isOther(new Set([laptop, phone]), new Set([phone, laptop]))).toBe(false);
  });
});

describe('the context of a group session', () => {
  const device = (fill: number): DeviceId => {
    const id = deviceIdFromBytes(new Uint8Array(20).fill(fill));
    if (id === undefined) throw new Error('twenty bytes are an id');
    return id;
  };
  const mesh = (fill: number): MeshId => toHex(new Uint8Array(32).fill(fill)) as MeshId;

  it('differs by mesh, owner and circle', () => {
    const group = '9'.repeat(64) as GroupId;
    const contexts = [
      groupContext(nodePrimitives.hash, mesh(1), device(1), EVERYBODY),
      groupContext(nodePrimitives.hash, mesh(2), device(1), EVERYBODY),
      groupContext(nodePrimitives.hash, mesh(1), device(2), EVERYBODY),
      groupContext(nodePrimitives.hash, mesh(1), device(1), group),
    ];
    expect(new Set(contexts.map(toHex)).size).toBe(4);
  });
});
