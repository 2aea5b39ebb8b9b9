import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBrokerUrl } from '../../src/entities/broker-url.ts';

const parsed = (text: string): unknown => {
  const result = parseBrokerUrl(text);
  return 'ok' in result ? [result.ok.host, result.ok.port, result.ok.path, result.ok.tls] : result.refused;
};

describe('a broker URL', () => {
  it('has a scheme, a host and what is usual for the rest', () => {
    expect(parsed('mqtt://pi.local')).toEqual(['pi.local', 1883, '', false]);
    expect(parsed('MQTTS://Broker.Example:1234/')).toEqual(['broker.example', 1234, '', true]);
    expect(parsed('ws://10.0.0.1')).toEqual(['10.0.0.1', 80, '/', false]);
    expect(parsed('wss://h/mqtt?token=x')).toEqual(['h', 443, '/mqtt?token=x', true]);
    expect(parsed('mqtt://[fe80::1]:1884')).toEqual(['fe80::1', 1884, '', false]);
  });

  it('is shown without its path, which may hold a token', () => {
    const result = parseBrokerUrl('wss://[::1]:8080/secret');
    expect('ok' in result && result.ok.name).toBe('wss://[::1]:8080');
  });

  it('has no login, no other scheme, no path that means nothing, and no port that cannot be', () => {
    expect(parsed('mqtt://alice:secret@host')).toBe('broker-url-has-login');
    expect(parsed('mqtt://alice@host')).toBe('broker-url-has-login');
    const wrong = ['', 'host', 'http://host', 'mqtt:/host', 'mqtt://', 'mqtt://host/path', 'mqtt://host:0'];
    const worse = [
      'mqtt://host:65536',
      'mqtt://ho st',
      'ws://h/#x',
      'mqtt://-h',
      'mqtt://h\n',
      'mqtt://[::1',
      'ws:// h',
    ];
    for (const text of [...wrong, ...worse, `mqtt://${'h'.repeat(600)}`]) {
      expect(parsed(text), text).toBe('broker-url-invalid');
    }
  });

  it('is parsed or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', 'mqtt://', 'wss://'), (text, start) => {
        const result = parseBrokerUrl(start + text);
        expect('ok' in result || 'refused' in result).toBe(true);
      }),
    );
  });
});
