import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/entities/secret.ts';
import { newSession, type SessionId } from '../../src/entities/session-set.ts';

const bytes = (): Uint8Array => new TextEncoder().encode('canary-canary-canary-canary-1234');

describe('a secret', () => {
  it('shows nothing of itself, however it is looked at', () => {
    const secret = new Secret(bytes());
    expect([
      String(secret),
      `${secret}`,
      `${JSON.stringify({ secret })}`,
      inspect(secret),
      inspect({ deep: { secret } }, { depth: 10, showHidden: true, getters: true, customInspect: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      `${Object.getOwnPropertyNames(secret)}`,
    ]).toMatchInlineSnapshot(`
      [
        "[secret]",
        "[secret]",
        "{"secret":"[secret]"}",
        "[secret]",
        "{ deep: { secret: [secret] } }",
        "Secret { [length]: [Getter] }",
        "",
      ]
    `);
  });

  it('is not carried along by a copy of its fields', () => {
    expect(structuredClone({ ...new Secret(bytes()) })).toEqual({});
  });

  it('shows nothing inside a session either', () => {
    const session = newSession('s1' as SessionId, 'us', new Secret(bytes()));
    expect(inspect(session, { depth: 10 })).not.toMatch(/canary|99, ?97/);
    expect(JSON.stringify(session)).toMatchInlineSnapshot(
      `"{"id":"s1","begunBy":"us","secret":"[secret]","established":false,"sent":0,"seen":[]}"`,
    );
  });

  it('gives its bytes to whoever asks by name, and none after it was wiped', () => {
    const secret = new Secret(bytes());
    expect(secret.expose()).toEqual(bytes());
    secret.wipe();
    expect(secret.expose()).toEqual(new Uint8Array(32));
  });
});
