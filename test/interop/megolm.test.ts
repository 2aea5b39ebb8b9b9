/**
 * Megolm is spoken by others: here our engine, and what our devices encrypt for a group, meets libolm, which shares
 * no code with it.
 */
import Olm from '@matrix-org/olm';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeBase64 } from '../../src/drivers/node/base64.ts';
import { loadEngine } from '../../src/drivers/vodozemac/load-node.ts';
import { equal } from '../../src/entities/bytes.ts';
import { MESSAGES_BEFORE_ROTATION } from '../../src/entities/group-session.ts';
import { Secret } from '../../src/entities/secret.ts';
import { decodeGroupText, encodeGroupText, type GroupText } from '../../src/entities/wire/group-text.ts';
import { MAX_PAYLOAD_BYTES } from '../../src/entities/wire/items.ts';
import { SALT_BYTES } from '../../src/entities/wire/parcel.ts';
import type { Engine, InboundGroupSession, OutboundGroupSession } from '../../src/usecases/ports/engine.ts';
import { existing, granted, text } from '../contracts/engine-cast.ts';
import { anyGroupText } from '../entities/wire/arbitraries.ts';
import { realRandomness } from '../randomness.ts';
import { decryptBytes, encryptBytes, initLibolm } from './libolm-bytes.ts';

const { encode, decode } = nodeBase64;
const words = fc.string({ unit: 'grapheme', maxLength: 200 });

let engine: Engine;
beforeAll(async () => {
  await initLibolm();
  engine = await loadEngine(realRandomness);
});

function theirOutbound(): Olm.OutboundGroupSession {
  const session = new Olm.OutboundGroupSession();
  session.create();
  return session;
}

/** As one of theirs who was given the key by the owner. */
function theyAccept(session: OutboundGroupSession): Olm.InboundGroupSession {
  const theirs = new Olm.InboundGroupSession();
  theirs.create(encode(session.shareKey().expose()));
  return theirs;
}

function weAccept(session: Olm.OutboundGroupSession): InboundGroupSession {
  return granted(engine.acceptGroupSession(new Secret(decode(session.session_key()))));
}

/** As one of theirs to whom one of ours passed the key on, from this index. */
function theyImport(session: InboundGroupSession, index: number): Olm.InboundGroupSession {
  const theirs = new Olm.InboundGroupSession();
  theirs.import_session(encode(existing(session.exportFrom(index)).expose()));
  return theirs;
}

function weImport(session: Olm.InboundGroupSession, index: number): InboundGroupSession {
  return granted(engine.importGroupSession(new Secret(decode(session.export_session(index)))));
}

describe('a Megolm session with libolm', () => {
  it('of ours is read by them from the index at which it was shared', () => {
    const ours = engine.createGroupSession();
    const before = encode(ours.encrypt(text('before')));
    const theirs = theyAccept(ours);
    expect([theirs.session_id(), theirs.first_known_index()]).toEqual([encode(ours.id), 1]);
    fc.assert(
      fc.property(words, (message) => {
        const index = ours.nextIndex;
        const body = encode(ours.encrypt(text(message)));
        expect(theirs.decrypt(body)).toEqual({ message_index: index, plaintext: message });
      }),
      { numRuns: 20 },
    );
    expect(() => theirs.decrypt(before)).toThrow('UNKNOWN_MESSAGE_INDEX');
  });

  it('of theirs is read by us from the index at which it was shared', () => {
    const theirs = theirOutbound();
    const before = theirs.encrypt('before');
    const ours = weAccept(theirs);
    expect([encode(ours.id), ours.firstIndex]).toEqual([theirs.session_id(), 1]);
    fc.assert(
      fc.property(words, (message) => {
        const index = theirs.message_index();
        const body = theirs.encrypt(message);
        expect(ours.decrypt(decode(body))).toEqual({ ok: { index, plaintext: text(message) } });
      }),
      { numRuns: 20 },
    );
    expect(ours.decrypt(decode(before))).toEqual({ refused: 'olm-key-gone' });
  });

  it('of theirs is passed on to them and back', () => {
    const theirs = theirOutbound();
    const ours = weAccept(theirs);
    const passedOn = theyImport(ours, 0);
    const back = weImport(passedOn, 0);
    fc.assert(
      fc.property(words, (message) => {
        const index = theirs.message_index();
        const body = theirs.encrypt(message);
        for (const member of [ours, back]) {
          expect(member.decrypt(decode(body))).toEqual({ ok: { index, plaintext: text(message) } });
        }
        expect(passedOn.decrypt(body)).toEqual({ message_index: index, plaintext: message });
      }),
      { numRuns: 20 },
    );
  });

  // At 256 another part of the ratchet turns.
  const order = [300, 0, 255, 256, 257, 7, 256, 299];

  it('of ours is read by them in any order, and not before the index from which it was passed on', () => {
    const ours = engine.createGroupSession();
    const accepted = theyAccept(ours);
    const passedOn = theyImport(granted(engine.acceptGroupSession(ours.shareKey())), 256);
    const bodies = Array.from({ length: 301 }, (_, n) => encode(ours.encrypt(text(`message ${n}`))));
    for (const index of order) {
      const read = { message_index: index, plaintext: `message ${index}` };
      const body = existing(bodies[index]);
      expect(accepted.decrypt(body)).toEqual(read);
      if (index < 256) expect(() => passedOn.decrypt(body)).toThrow('UNKNOWN_MESSAGE_INDEX');
      else expect(passedOn.decrypt(body)).toEqual(read);
    }
  });

  it('of theirs is read by us in any order, and not before the index from which it was passed on', () => {
    const theirs = theirOutbound();
    const accepted = weAccept(theirs);
    const passedOn = weImport(theyImport(accepted, 0), 256);
    const bodies = Array.from({ length: 301 }, (_, n) => decode(theirs.encrypt(`message ${n}`)));
    for (const index of order) {
      const read = { ok: { index, plaintext: text(`message ${index}`) } };
      const body = existing(bodies[index]);
      expect(accepted.decrypt(body)).toEqual(read);
      expect(passedOn.decrypt(body)).toEqual(index < 256 ? { refused: 'olm-key-gone' } : read);
    }
    expect(passedOn.exportFrom(255)).toBeUndefined();
  });
});

describe('a message for a group', () => {
  it('of ours is opened by them, at every index that a session has here', () => {
    const ours = engine.createGroupSession();
    const theirs = theyAccept(ours);
    let sent = 0;
    fc.assert(
      fc.property(anyGroupText, (message) => {
        const padded = encodeGroupText(realRandomness(SALT_BYTES), message);
        const opened = decryptBytes(theirs, encode(ours.encrypt(padded)));
        expect(opened).toEqual({ index: sent++, plaintext: padded });
        expect(decodeGroupText(opened.plaintext, message.context)).toEqual({ ok: message });
      }),
      { numRuns: MESSAGES_BEFORE_ROTATION },
    );
  });

  it('of theirs is opened by us', () => {
    const theirs = theirOutbound();
    const ours = weAccept(theirs);
    fc.assert(
      fc.property(anyGroupText, (message) => {
        const body = encryptBytes(theirs, encodeGroupText(realRandomness(SALT_BYTES), message));
        const { plaintext } = granted(ours.decrypt(decode(body)));
        expect(decodeGroupText(plaintext, message.context)).toEqual({ ok: message });
      }),
      { numRuns: 30 },
    );
  });

  it('of 64 KiB goes both ways', () => {
    const message: GroupText = {
      context: realRandomness(32),
      id: realRandomness(16),
      sentAt: 1_700_000_000_000,
      type: 'application/octet-stream',
      thread: null,
      payload: realRandomness(MAX_PAYLOAD_BYTES),
    };
    const padded = encodeGroupText(realRandomness(SALT_BYTES), message);
    const ours = engine.createGroupSession();
    // A difference of so many bytes would take minutes to be shown.
    const opened = decryptBytes(theyAccept(ours), encode(ours.encrypt(padded)));
    expect(equal(opened.plaintext, padded)).toBe(true);
    const theirs = theirOutbound();
    const we = weAccept(theirs);
    const read = granted(we.decrypt(decode(encryptBytes(theirs, padded))));
    expect(equal(read.plaintext, padded)).toBe(true);
  });
});
