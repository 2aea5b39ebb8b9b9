import { expect, test } from 'vitest';
import { createLog, type Level } from '../../../src/drivers/daemon/log.ts';
import { Secret } from '../../../src/entities/secret.ts';

function logged(level: Level, isTerminal: boolean, data: Record<string, unknown>): string {
  let text = '';
  const log = createLog(level, {
    isTerminal,
    write: (line) => {
      text += line;
    },
  });
  log.debug(data, 'a detail');
  log.info(data, 'a fact');
  log.error(data, 'a failure');
  return text;
}

test('machines get one JSON object per line, with the level by name and a time', () => {
  const lines = logged('info', false, { broker: 'mqtt://x:1' }).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), broker: 'mqtt://x:1', msg: 'a fact' },
    { level: 'error', time: expect.any(String), broker: 'mqtt://x:1', msg: 'a failure' },
  ]);
});

test('people get a short line in which nothing can steer the terminal', () => {
  const text = logged('error', true, { name: '\u001b[2J' });
  expect(text).toMatch(/^\d\d:\d\d:\d\d error a failure name="\\u001b\[2J"\n$/);
});

test.each([true, false])('no secret gets through at the most verbose level (terminal: %s)', (isTerminal) => {
  const canary = 'canary-7f3a';
  const bytes = new TextEncoder().encode(canary);
  const data = {
    secret: new Secret(bytes),
    other: new Secret(bytes),
    nested: { password: canary, text: canary, payload: canary },
    password: canary,
    passphrase: canary,
    params: { data: canary },
  };
  const text = logged('debug', isTerminal, data);
  expect(text).toContain('a detail');
  expect(text).not.toContain(canary);
  expect(text).not.toContain(bytes.join(','));
});

test.each([true, false])('nor does one that lies deep, or in a text (terminal: %s)', (isTerminal) => {
  const canary = 'canary-7f3a';
  const bytes = new TextEncoder().encode(canary);
  const deep = { a: [{ b: { Password: canary, bytes } }], error: new Error(canary) };
  const tooDeep = { a: { b: { c: { d: { e: { f: { g: canary } } } } } } };
  const texts = {
    hint: `mesh join "mesh://join#${canary}" now`,
    url: `mqtts://alice:${canary}@broker.example:1`,
  };
  const text = logged('debug', isTerminal, { deep, tooDeep, ...texts, plain: 'what may be seen' });
  expect(text).toContain('what may be seen');
  expect(text).toContain('broker.example:1');
  expect(text).not.toContain(canary);
  expect(text).not.toContain(bytes.join(','));
});

test('what stands in the message itself is searched too', () => {
  const lines: string[] = [];
  const log = createLog('info', { isTerminal: false, write: (line) => lines.push(line) });
  log.error({}, 'mesh://join#canary-7f3a is no good, nor is ws://canary-7f3a@x');
  expect(JSON.parse(lines.join(''))).toMatchObject({
    msg: 'mesh://join#[secret] is no good, nor is ws://[secret]@x',
  });
});

test('an error, or nothing, where that is asked for', () => {
  expect(logged('error', false, {}).trim().split('\n')).toHaveLength(1);
  expect(logged('silent', false, {})).toBe('');
});
