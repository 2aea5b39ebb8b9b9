import { describe, expect, it } from 'vitest';
import type { DeviceId } from '../../src/entities/device-id.ts';
import {
  EVERYBODY,
  type GroupId,
  type GroupSessionId,
  MESSAGES_BEFORE_ROTATION,
  needsRotation,
  type ReceivedGroupSession,
  readGroupMessage,
  receiveGroupKey,
  type SentGroupSession,
} from '../../src/entities/group-session.ts';

const laptop = 'laptop' as DeviceId;
const phone = 'phone' as DeviceId;
const pi = 'pi' as DeviceId;
const offered = { id: 's1' as GroupSessionId, owner: laptop, group: EVERYBODY, firstIndex: 3 };

function held(): ReceivedGroupSession {
  const received = receiveGroupKey(undefined, offered, laptop);
  if ('refused' in received) throw new Error(received.refused);
  return received.ok;
}

describe('a group session at a receiver', () => {
  it('begins with a key from the device that owns it', () => {
    expect(held()).toMatchObject({ owner: laptop, firstIndex: 3 });
  });

  it('refuses a key from anybody else', () => {
    expect(receiveGroupKey(undefined, offered, phone)).toEqual({ refused: 'group-key-foreign' });
    expect(receiveGroupKey(held(), { ...offered, firstIndex: 0 }, phone)).toEqual({
      refused: 'group-key-foreign',
    });
  });

  it('stays with its owner and its group', () => {
    expect(receiveGroupKey(held(), { ...offered, group: 'g2' as GroupId }, laptop)).toEqual({
      refused: 'group-key-pinned',
    });
    expect(receiveGroupKey(held(), { ...offered, owner: phone }, phone)).toEqual({
      refused: 'group-key-pinned',
    });
  });

  it('reads each index once, index 0 included, in any order', () => {
    let session = held();
    for (const index of [5, 0, 3]) {
      const read = readGroupMessage(session, laptop, index);
      if ('refused' in read) throw new Error(read.refused);
      session = read.ok;
    }
    for (const index of [5, 0, 3]) {
      expect(readGroupMessage(session, laptop, index)).toEqual({ refused: 'group-message-replayed' });
    }
    expect(readGroupMessage(session, laptop, 4)).toHaveProperty('ok');
  });

  it('keeps what it has read when a key with an earlier index arrives', () => {
    const read = readGroupMessage(held(), laptop, 4);
    if ('refused' in read) throw new Error(read.refused);
    const again = receiveGroupKey(read.ok, { ...offered, firstIndex: 1 }, laptop);
    if ('refused' in again) throw new Error(again.refused);
    expect(again.ok.firstIndex).toBe(1);
    expect(readGroupMessage(again.ok, laptop, 4)).toEqual({ refused: 'group-message-replayed' });
  });

  it('refuses a message from a device that is not its owner', () => {
    expect(readGroupMessage(held(), phone, 9)).toEqual({ refused: 'group-message-foreign' });
  });
});

describe('a group session at its owner', () => {
  const fresh: SentGroupSession = {
    id: 's1' as GroupSessionId,
    group: EVERYBODY,
    startedAt: 1_000_000,
    messages: 0,
    holders: [phone, pi],
  };
  const day = 86_400_000;

  it('serves a hundred messages and seven days', () => {
    const now = fresh.startedAt;
    expect(needsRotation({ ...fresh, messages: MESSAGES_BEFORE_ROTATION - 1 }, [phone, pi], now)).toBe(false);
    expect(needsRotation({ ...fresh, messages: MESSAGES_BEFORE_ROTATION }, [phone, pi], now)).toBe(true);
    expect(needsRotation(fresh, [phone, pi], now + 7 * day - 1)).toBe(false);
    expect(needsRotation(fresh, [phone, pi], now + 7 * day)).toBe(true);
  });

  it('is replaced as soon as a holder of its key is no longer a recipient', () => {
    expect(needsRotation(fresh, [phone], fresh.startedAt)).toBe(true);
  });

  it('goes on when somebody joins, who is given the key from then on', () => {
    expect(needsRotation(fresh, [phone, pi, laptop], fresh.startedAt)).toBe(false);
  });

  it('is replaced when the clock went backwards, because its age is then unknown', () => {
    expect(needsRotation(fresh, [phone, pi], fresh.startedAt - 1)).toBe(true);
  });
});
