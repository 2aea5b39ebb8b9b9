import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadEngine } from '../../../src/drivers/vodozemac/load-node.ts';
import { Secret } from '../../../src/entities/secret.ts';
import type { Engine } from '../../../src/usecases/ports/engine.ts';
import { converse, granted, pickleKey } from '../../contracts/engine-cast.ts';
import { seededRandomness } from '../../randomness.ts';

function logged(value: unknown): string {
  let line = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      line += String(chunk);
      done();
    },
  });
  const log = pino({ base: null, timestamp: false }, stream);
  log.info({ value }, 'seen');
  if (typeof value === 'object') log.info(value);
  return line;
}

/** Public keys and session ids have 32 bytes; that there are no more of these than expected, the snapshots show. */
function withoutKeysAndIds(seen: string): string {
  return seen
    .replace(/Uint8Array\(32\) \[[\s\d,]*\[BYTES_PER_ELEMENT\][\s\S]*?\}\s*\]/g, '<32 bytes>')
    .replace(/\{("\d+":\d+,?){32}\}/g, '<32 bytes>');
}

/** Every way in which a value gets into a log, an error text or a terminal. */
function looks(value: unknown): readonly string[] {
  return [
    inspect(value, { depth: 10, showHidden: true, getters: true }),
    inspect(value, { depth: 10, showHidden: true, customInspect: false }),
    JSON.stringify(value),
    JSON.stringify({ ...Object(value) }),
    String(value),
    `${value}`,
    logged(value),
  ].map(withoutKeysAndIds);
}

describe('what can be seen of the engine', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await loadEngine(seededRandomness('redaction'));
  });

  it('is nothing but the public keys, of an account', () => {
    const { laptop } = converse(engine);
    expect(looks(laptop)).toMatchInlineSnapshot(`
      [
        "VodozemacAccount {
        keys: {
          signing: <32 bytes>,
          agreement: <32 bytes>
        }
      }",
        "VodozemacAccount {
        keys: {
          signing: <32 bytes>,
          agreement: <32 bytes>
        }
      }",
        "{"keys":{"signing":<32 bytes>,"agreement":<32 bytes>}}",
        "{"keys":{"signing":<32 bytes>,"agreement":<32 bytes>}}",
        "[object Object]",
        "[object Object]",
        "{"level":30,"value":{"keys":{"signing":<32 bytes>,"agreement":<32 bytes>}},"msg":"seen"}
      {"level":30,"keys":{"signing":<32 bytes>,"agreement":<32 bytes>}}
      ",
      ]
    `);
  });

  it('is nothing but its id, of a session', () => {
    expect(looks(converse(engine).laptopSession)).toMatchInlineSnapshot(`
      [
        "VodozemacSession {
        [id]: [Getter] <32 bytes>,
        [established]: [Getter: true]
      }",
        "VodozemacSession { [id]: [Getter], [established]: [Getter] }",
        "{}",
        "{}",
        "[object Object]",
        "[object Object]",
        "{"level":30,"value":{},"msg":"seen"}
      {"level":30}
      ",
      ]
    `);
  });

  it('is nothing but its id and index, of a group session at either end', () => {
    const outbound = engine.createGroupSession();
    expect(looks(outbound)).toMatchInlineSnapshot(`
      [
        "VodozemacGroupSession {
        [id]: [Getter] <32 bytes>,
        [nextIndex]: [Getter: 0]
      }",
        "VodozemacGroupSession { [id]: [Getter], [nextIndex]: [Getter] }",
        "{}",
        "{}",
        "[object Object]",
        "[object Object]",
        "{"level":30,"value":{},"msg":"seen"}
      {"level":30}
      ",
      ]
    `);
    expect(looks(granted(engine.acceptGroupSession(outbound.shareKey())))).toMatchInlineSnapshot(`
      [
        "VodozemacInboundGroupSession {
        [id]: [Getter] <32 bytes>,
        [firstIndex]: [Getter: 0]
      }",
        "VodozemacInboundGroupSession { [id]: [Getter], [firstIndex]: [Getter] }",
        "{}",
        "{}",
        "[object Object]",
        "[object Object]",
        "{"level":30,"value":{},"msg":"seen"}
      {"level":30}
      ",
      ]
    `);
  });

  it('is nothing, of the engine itself', () => {
    expect(looks(engine)).toMatchInlineSnapshot(`
      [
        "VodozemacEngine {}",
        "VodozemacEngine {}",
        "{}",
        "{}",
        "[object Object]",
        "[object Object]",
        "{"level":30,"value":{},"msg":"seen"}
      {"level":30}
      ",
      ]
    `);
  });

  it('is nothing, of a secret', () => {
    expect(looks(engine.createGroupSession().shareKey())).toMatchInlineSnapshot(`
      [
        "[secret]",
        "Secret { [length]: [Getter] }",
        ""[secret]"",
        "{}",
        "[secret]",
        "[secret]",
        "{"level":30,"value":"[secret]","msg":"seen"}
      {"level":30}
      ",
      ]
    `);
    expect(looks(new Secret(new TextEncoder().encode('canary')))).toMatchInlineSnapshot(`
      [
        "[secret]",
        "Secret { [length]: [Getter] }",
        ""[secret]"",
        "{}",
        "[secret]",
        "[secret]",
        "{"level":30,"value":"[secret]","msg":"seen"}
      {"level":30}
      ",
      ]
    `);
  });

  it('is no secret, in the errors that handles throw', () => {
    const { laptop } = converse(engine);
    const pickle = laptop.pickle(pickleKey());
    laptop.dispose();
    const wrongKey = new Secret(new Uint8Array(32).fill(99));
    for (const call of [() => laptop.pickle(pickleKey()), () => engine.restoreAccount(pickle, wrongKey)]) {
      try {
        call();
        expect.unreachable();
      } catch (error) {
        const seen = inspect(error, { depth: 10, showHidden: true });
        expect(seen).not.toContain(pickle.slice(0, 20));
        expect(seen).not.toMatch(/99,|7, +7|Y2Nj/);
      }
    }
  });
});
