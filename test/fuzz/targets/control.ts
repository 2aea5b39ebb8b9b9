/** The control socket, byte by byte: lines, requests, and what a client makes of an answer. */
import { frameLines } from '../../../src/adapters/rpc/line-framing.ts';
import {
  encodeLine,
  failure,
  fromRpcError,
  isObject,
  parseLine,
  readRequest,
} from '../../../src/adapters/rpc/protocol.ts';
import { explanations, MeshError } from '../../../src/entities/errors.ts';
import { utf8 } from '../../../src/entities/text.ts';
import { demand, type Target } from '../target.ts';

/** Less than the product's, so that an input can be too long. */
const MOST_LINE_BYTES = 300;

interface Framed {
  readonly lines: readonly Uint8Array[];
  readonly told: string;
}

function framed(chunks: readonly Uint8Array[]): Framed {
  const lines: Uint8Array[] = [];
  const told: string[] = [];
  const feed = frameLines(MOST_LINE_BYTES, {
    line: (bytes) => {
      demand(bytes.length <= MOST_LINE_BYTES, 'a line that is too long got through');
      lines.push(bytes);
      told.push(Buffer.from(bytes).toString('hex'));
    },
    tooLong: () => void told.push('too long'),
  });
  for (const chunk of chunks) feed(chunk);
  return { lines, told: told.join('\n') };
}

/** In pieces whose sizes follow from the bytes themselves. */
export function pieces(input: Uint8Array): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let at = 0; at < input.length; ) {
    const size = 1 + ((input[at] ?? 0) % 7);
    cut.push(input.slice(at, at + size));
    at += size;
  }
  return cut;
}

function examineSocket(input: Uint8Array): void {
  const whole = framed([input, Uint8Array.of(0x0a)]);
  const apart = framed([...pieces(input), Uint8Array.of(0x0a)]);
  demand(apart.told === whole.told, 'a stream in pieces has other lines than in one');
  for (const line of whole.lines) {
    const request = readRequest(line);
    if ('error' in request) {
      demand(request.error instanceof MeshError, 'a request is refused with what is no MeshError');
      const told = parseLine(encodeLine(failure(request.id, request.error)).slice(0, -1));
      demand(told?.error !== undefined, 'an answer that cannot be read');
      demand(fromRpcError(told.error).code === request.error.code, 'an error that arrives as another one');
    } else {
      demand(request.method.length <= 64, 'the name of a method is too long');
      demand(isObject(request.params), 'parameters that are no object');
    }
    // A client reads lines of a daemon that may be of any version.
    const answer = parseLine(line);
    const error = fromRpcError(answer?.error ?? answer);
    demand(error.code in explanations, 'an error without an explanation');
    demand(error.message.length > 0 && error.hint.length > 0, 'an error without words');
  }
}

export function controlTarget(): Target {
  const asked = (method: string, params: string): string =>
    `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}\n`;
  return {
    name: 'control',
    watched: ['src/adapters/rpc/', 'src/entities/errors', 'src/entities/text'],
    form: { kind: 'bytes' },
    dictionary: [
      ...[
        '{',
        '}',
        '[',
        ']',
        '"',
        ',',
        ':',
        '\n',
        '\r\n',
        'null',
        'true',
        '1e999',
        '-0',
        '"\\ud800"',
        '\\u0000',
      ],
      ...['"jsonrpc":"2.0"', '"id":', '"method":', '"params":{}', '"error":', '"data":', '"code":"bug"'],
      ...['"__proto__":', '"constructor"', '"exit":', '"message":"x"', '\uFEFF', ' '.repeat(40)],
    ].map(utf8),
    longest: 2048,
    seeds: [
      asked('send', '{"target":"all","text":"x"}') + asked('status', '{}'),
      asked('listen', 'null'),
      '{"jsonrpc":"2.0","id":"a","error":{"code":-32000,"message":"m","data":{"code":"bug","data":{"detail":"d"}}}}',
      `${' '.repeat(310)}\n{}\r\n\n`,
    ].map(utf8),
    examine: examineSocket,
  };
}
