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
  ];
}

describe('what can be seen of the engine', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await loadEngine(seededRandomness('redaction'));
  });

  it('is nothing but the public keys, of an account', () => {
    const { laptop } = converse(engine);
    const whole = (list: string): string =>
      list
        .replace(/Uint8Array\(32\) \[[^\]]*(\[\w+\]: [^\]]*)*\]/g, '<32 bytes>')
        .replace(/\{("\d+":\d+,?){32}\}/g, '<32 bytes>');
    expect(looks(laptop).map(whole)).toMatchInlineSnapshot();
  });

  it('is nothing, of a session', () => {
    expect(looks(converse(engine).laptopSession)).toMatchInlineSnapshot(`
      [
        "VodozemacSession {
        [id]: [Getter] Uint8Array(32) [
          0,
          192,
          228,
          63,
          166,
          200,
          87,
          52,
          16,
          43,
          187,
          145,
          182,
          63,
          75,
          173,
          134,
          54,
          168,
          83,
          164,
          78,
          239,
          206,
          134,
          207,
          168,
          105,
          54,
          185,
          12,
          149,
          [BYTES_PER_ELEMENT]: 1,
          [length]: 32,
          [byteLength]: 32,
          [byteOffset]: 0,
          [buffer]: ArrayBuffer { byteLength: 32 }
        ],
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

  it('is nothing, of a group session at either end', () => {
    const outbound = engine.createGroupSession();
    expect(looks(outbound)).toMatchInlineSnapshot(`
      [
        "VodozemacGroupSession {
        [id]: [Getter] Uint8Array(32) [
          222,
          195,
          66,
          2,
          216,
          243,
          86,
          53,
          159,
          135,
          80,
          183,
          250,
          98,
          153,
          253,
          124,
          251,
          20,
          104,
          28,
          227,
          39,
          242,
          226,
          155,
          41,
          217,
          37,
          76,
          190,
          22,
          [BYTES_PER_ELEMENT]: 1,
          [length]: 32,
          [byteLength]: 32,
          [byteOffset]: 0,
          [buffer]: ArrayBuffer { byteLength: 32 }
        ],
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
        [id]: [Getter] Uint8Array(32) [
          222,
          195,
          66,
          2,
          216,
          243,
          86,
          53,
          159,
          135,
          80,
          183,
          250,
          98,
          153,
          253,
          124,
          251,
          20,
          104,
          28,
          227,
          39,
          242,
          226,
          155,
          41,
          217,
          37,
          76,
          190,
          22,
          [BYTES_PER_ELEMENT]: 1,
          [length]: 32,
          [byteLength]: 32,
          [byteOffset]: 0,
          [buffer]: ArrayBuffer { byteLength: 32 }
        ],
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
