/** What two devices say while one joins: the link, the messages, and how either gives up. */

import { nodePrimitives } from '../../../src/drivers/node/primitives.ts';
import { concat, toBase64Url } from '../../../src/entities/bytes.ts';
import { labelledHash } from '../../../src/entities/crypto.ts';
import { ABORT_REASONS, decodeAbort, encodeAbort } from '../../../src/entities/pairing/abort.ts';
import {
  decodeInviteLink,
  encodeInviteLink,
  LINK_PREFIX,
  LINK_VERSION,
} from '../../../src/entities/pairing/link.ts';
import {
  decodeMessage,
  decodeOpening,
  encodeMessage,
  encodeOpening,
  padMessage,
  unpadMessage,
} from '../../../src/entities/pairing/messages.ts';
import { parseCode } from '../../../src/entities/pairing/transcript.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { demand, same, type Target } from '../target.ts';
import { bytesIn, textsIn } from './vectors.ts';

const { hash } = nodePrimitives;
const STEPS = [1, 2, 3, 4, 5, 6] as const;
const CHECKSUM_BYTES = 4;
const decoder = new TextDecoder();

function examineMessage(input: Uint8Array): void {
  for (const step of STEPS) {
    const message = decodeMessage(step, input);
    if ('refused' in message) continue;
    demand(same(encodeMessage(message.ok), input), `message ${step} was accepted in another encoding`);
  }
  const abort = decodeAbort(input);
  if ('ok' in abort) {
    demand(ABORT_REASONS.includes(abort.ok.reason), 'a reason without a name');
    const isNamed = abort.ok.reason !== 'other' || abort.ok.number === 255;
    demand(!isNamed || same(encodeAbort(abort.ok), input), 'an abort was accepted in another encoding');
  }
  const opening = decodeOpening(input);
  if ('ok' in opening) {
    demand(same(encodeOpening(opening.ok.agreement, opening.ok.olm), input), 'an opening that is not one');
  }
  const text = unpadMessage(input);
  if ('ok' in text) demand(same(padMessage(text.ok), input), 'padding was accepted that nobody makes');
}

/** What somebody pastes. Accepted twice, it has to be the same link. */
function examineLink(pasted: string): void {
  const link = decodeInviteLink(hash, pasted);
  if ('refused' in link) return;
  const again = encodeInviteLink(hash, link.ok);
  demand('ok' in again, 'a link was accepted that cannot be written');
  demand(again.ok === pasted.replaceAll(/\s/g, ''), 'a link was accepted that is not what an inviter writes');
}

/** As text, and as the content of a link whose version, length and checksum are right. */
function examineLinkBytes(input: Uint8Array): void {
  const text = decoder.decode(input);
  examineLink(text);
  const code = parseCode(text);
  if (code !== undefined) demand(parseCode(code) === code, 'a code that is not one when it is typed again');
  const length = 3 + input.length + CHECKSUM_BYTES;
  const covered = concat(Uint8Array.of(LINK_VERSION, (length >>> 8) & 0xff, length & 0xff), input);
  const checksum = labelledHash(hash, 'link checksum v1', covered).subarray(0, CHECKSUM_BYTES);
  examineLink(LINK_PREFIX + toBase64Url(concat(covered, checksum)));
}

/** The middle of a link, without version, length and checksum. */
function contentOf(text: string): Uint8Array[] {
  if (!text.startsWith(LINK_PREFIX)) return [];
  const bytes = Buffer.from(text.slice(LINK_PREFIX.length), 'base64url');
  return [Uint8Array.from(bytes.subarray(3, -CHECKSUM_BYTES))];
}

export function pairingTargets(root: string): Target[] {
  const links = textsIn(root, 'pairing.json', 'text').filter(({ length }) => length < 4000);
  return [
    {
      name: 'pairing',
      watched: [
        'src/entities/pairing/',
        'src/entities/wire/',
        'src/entities/keys',
        'src/entities/device-name',
      ],
      form: { kind: 'cbor', prefix: 0 },
      dictionary: ['\uFEFF', 'Alice', 'e\u0301', '\u0958', 'user', '__proto__'].map(utf8),
      longest: 8192,
      seeds: [...bytesIn(root, 'pairing.json', 'bytes'), new Uint8Array(40).fill(5)],
      examine: examineMessage,
    },
    {
      name: 'link',
      watched: [
        'src/entities/pairing/',
        'src/entities/broker-url',
        'src/entities/keys',
        'src/entities/device-name',
        'src/entities/topic-prefix',
        'src/entities/bytes',
        'src/entities/text',
      ],
      form: { kind: 'bytes' },
      dictionary: [
        ...[
          LINK_PREFIX,
          'mqtt://',
          'wss://',
          '/mesh/',
          'a@',
          '[::1]:1883',
          ':65535',
          '\n ',
          '%41',
          '=',
          '-',
          '_',
        ],
        ...['\u0958', 'e\u0301', '\uFEFF', '0000-0000'],
      ].map(utf8),
      longest: 4200,
      seeds: [...links.map(utf8), ...links.flatMap(contentOf), utf8('1234-5678')],
      examine: examineLinkBytes,
    },
  ];
}
