import { describe, expect, it } from 'vitest';
import { type ErrorCode, ExitStatus, explanations, MeshError } from '../../src/entities/errors.ts';

const rows = Object.entries(explanations);

describe('the table of errors', () => {
  it('has a sentence and a hint for every code, in the voice of the command line', () => {
    for (const [code, { message, hint }] of rows) {
      for (const text of [message, hint]) {
        expect(text.length, code).toBeGreaterThan(10);
        expect(text.endsWith('.'), `${code}: no full stop, because more may follow`).toBe(false);
        expect(
          /^[a-z{"]/.test(text) || /^(MQTT|TLS|CA|QR)\b/.test(text),
          `${code}: begins in lower case`,
        ).toBe(true);
      }
      expect(message, code).not.toBe(hint);
    }
  });

  it('uses only the exit statuses of the contract', () => {
    const known = new Set<number>(Object.values(ExitStatus));
    for (const [code, { exit }] of rows) expect(known.has(exit), code).toBe(true);
  });

  it('fills in the data of an error and keeps its cause', () => {
    const cause = new Error('below');
    const error = new MeshError('store-in-use', { pid: 4711, home: 'here' }, cause);
    expect(error.message).toContain('4711');
    expect(error.message).toContain('here');
    expect(error.cause).toBe(cause);
    expect(error.exit).toBe(ExitStatus.store);
  });

  it('leaves no placeholder without a datum of that name standing where one was given', () => {
    for (const [code, { message, hint }] of rows) {
      const names = [...`${message} ${hint}`.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
      const error = new MeshError(code as ErrorCode, Object.fromEntries(names.map((name) => [name, 'x'])));
      expect(`${error.message} ${error.hint}`, code).not.toMatch(/[{}]/);
    }
  });
});
