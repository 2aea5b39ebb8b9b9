/** What a person may write: settings, addresses, names, and the files that unlock a store. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedAddress } from '../../../src/drivers/cli/embedded-address.ts';
import { plan } from '../../../src/drivers/mqtt/settings.ts';
import { readCredential, readKeyFile, readPassphraseFile } from '../../../src/drivers/node/unlock.ts';
import { parseBrokerUrl } from '../../../src/entities/broker-url.ts';
import { parseCertificatePin } from '../../../src/entities/certificate-pin.ts';
import { deviceIdBytes, deviceIdFromBytes, parseDeviceId } from '../../../src/entities/device-id.ts';
import { parseDeviceName } from '../../../src/entities/device-name.ts';
import { linkName } from '../../../src/entities/pairing/link.ts';
import { NAME_MAX_BYTES } from '../../../src/entities/roster/entry.ts';
import { fromUtf8, utf8 } from '../../../src/entities/text.ts';
import { parseSetting, SETTING_KEYS, splitUrls } from '../../../src/usecases/settings.ts';
import { alice } from '../../entities/roster/cast.ts';
import { demand, laterValueOrCode, same, type Target, valueOrCode } from '../target.ts';

/** A setting that is taken can be taken again as it is kept, and a connection can be planned with it. */
function examineSettings(input: Uint8Array): void {
  const text = fromUtf8(input.subarray(1));
  if (text === undefined) return;
  const keys = [...SETTING_KEYS, '__proto__', 'toString'];
  const key = keys[(input[0] ?? 0) % keys.length] ?? '';
  const parsed = parseSetting(key, text);
  if ('refused' in parsed) return;
  const again = parseSetting(key, parsed.ok);
  demand('ok' in again && again.ok === parsed.ok, `${key} is not kept as something that can be set`);
  const settings = { urls: ['mqtt://broker.example'], clientId: 'c', device: alice.id };
  if (key === 'broker') plan({ ...settings, urls: splitUrls(parsed.ok) });
  if (key === 'topic-prefix') plan({ ...settings, topicPrefix: parsed.ok });
  if (key === 'broker-pin') demand(parseCertificatePin(parsed.ok) !== undefined, 'a pin that is none later');
  // Whether it is a certificate is only known to the platform, which may refuse it.
  if (key === 'broker-ca') valueOrCode(() => plan({ ...settings, ca: parsed.ok }));
}

function examineWords(input: Uint8Array): void {
  const text = fromUtf8(input);
  if (text === undefined) return;
  const url = parseBrokerUrl(text);
  if ('ok' in url) {
    const named = parseBrokerUrl(url.ok.name + url.ok.path);
    demand('ok' in named, 'the name of a broker is not a URL');
    demand(JSON.stringify(named.ok) === JSON.stringify(url.ok), 'the name of a broker leads elsewhere');
  }
  const name = parseDeviceName(text);
  if ('ok' in name) {
    const again = parseDeviceName(name.ok);
    demand('ok' in again && again.ok === name.ok, 'a name that was taken is not taken again');
    demand(utf8(name.ok).length <= NAME_MAX_BYTES, 'a name that was taken has no room in an entry');
  }
  const short = linkName(text, alice.name);
  demand('ok' in parseDeviceName(short), 'a link has a name that is none');
  const id = parseDeviceId(text);
  if (id !== undefined) demand(deviceIdFromBytes(deviceIdBytes(id)) === id, 'an id with two spellings');
  valueOrCode(() => embeddedAddress(text));
}

/** As the key file, the passphrase file and the credential of a store. */
async function examineKeyFile(directory: string, input: Uint8Array): Promise<void> {
  const path = join(directory, 'mesh-key');
  writeFileSync(path, input, { mode: 0o600 });
  const [key, credential] = await Promise.all([
    laterValueOrCode(() => readKeyFile(path)),
    laterValueOrCode(() => readCredential(directory)),
  ]);
  for (const read of [key, credential]) {
    demand('ok' in read === (input.length === 32), 'a key is what has 32 bytes');
    if ('ok' in read) demand(same(read.ok.secret.expose(), input), 'a key that is not what the file holds');
  }
  const passphrase = await laterValueOrCode(() => readPassphraseFile(path));
  if ('refused' in passphrase) return;
  const line = fromUtf8(passphrase.ok.secret.expose());
  demand(line !== undefined && line !== '' && !line.includes('\n'), 'a passphrase that is not one line');
}

export function settingsTargets(): Target[] {
  const directory = mkdtempSync(join(tmpdir(), 'mesh-fuzz-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const words = [
    ...[
      'mqtt://',
      'mqtts://',
      'ws://',
      'WSS://',
      '[::1]',
      ':1883',
      ':0',
      ':65536',
      '/path',
      '@',
      'a.example',
      ' ',
      ',',
    ],
    ...[
      '/mesh/',
      '+',
      '#',
      '$SYS/',
      '30d',
      '1h',
      '365d',
      '59m',
      'AA:BB',
      '-----BEGIN CERTIFICATE-----',
      '\r\n',
      '\n',
    ],
    ...[
      '\u0958',
      '\u{1D15E}',
      'e\u0301',
      '\u0301',
      '\u00A0',
      '\u200B',
      '\uFEFF',
      '\u0130',
      '\u212A',
      'A'.repeat(64),
    ],
    ...['127.0.0.1', '0.0.0.0:1883', 'localhost', '::'],
  ].map(utf8);
  const seeds = SETTING_KEYS.map((_, at) => at);
  const values = [
    'mqtt://broker.example',
    'user',
    'pass',
    '-----BEGIN CERTIFICATE-----',
    'ab'.repeat(32),
    '/mesh/',
    '7d',
  ];
  return [
    {
      name: 'settings',
      watched: ['src/usecases/settings', 'src/entities/', 'src/drivers/mqtt/settings'],
      form: { kind: 'bytes' },
      dictionary: words,
      longest: 1024,
      seeds: seeds.map((at) => Uint8Array.of(at, ...utf8(values[at] ?? ''))),
      examine: examineSettings,
    },
    {
      name: 'words',
      watched: ['src/entities/', 'src/drivers/cli/embedded-address'],
      form: { kind: 'bytes' },
      dictionary: words,
      longest: 1024,
      seeds: [
        "Alice's laptop",
        'wss://broker.example:8443/mqtt?token=1',
        alice.id,
        '[::1]:1883',
        ...values,
      ].map(utf8),
      examine: examineWords,
    },
    {
      name: 'key-file',
      watched: ['src/drivers/node/unlock', 'src/entities/text', 'src/adapters/keystore/slot'],
      form: { kind: 'bytes' },
      dictionary: words,
      longest: 5000,
      seeds: [new Uint8Array(32).fill(7), utf8('a passphrase\r\nand more'), utf8('\n'), new Uint8Array(4097)],
      examine: (input) => examineKeyFile(directory, input),
    },
  ];
}
