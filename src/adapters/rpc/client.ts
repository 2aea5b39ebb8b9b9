/** The calling end: requests, their answers, and the notifications in between. */
import { MeshError } from '../../entities/errors.ts';
import type { Channel } from './channel.ts';
import { frameLines } from './line-framing.ts';
import { encodeLine, fromRpcError, type Json, type JsonObject, parseLine } from './protocol.ts';

export interface RpcClient {
  /** Throws the `MeshError` that came back, or `daemon-gone` where nothing did. */
  call(method: string, params?: JsonObject): Promise<Json>;
  /** The connection is over: with the error that was said last, or `daemon-gone`. */
  readonly ended: Promise<MeshError>;
  close(): void;
}

/** Answers may be larger than requests: lists are one answer. */
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

export function createRpcClient(
  channel: Channel,
  notified: (method: string, params: JsonObject) => void = () => undefined,
): RpcClient {
  const waiting = new Map<number, { resolve(result: Json): void; reject(error: MeshError): void }>();
  let last = 0;
  let farewell: MeshError | undefined;
  let over = false;
  let end: (why: MeshError) => void = () => undefined;
  const ended = new Promise<MeshError>((resolve) => {
    end = resolve;
  });

  const finish = (): void => {
    if (over) return;
    over = true;
    const why = farewell ?? new MeshError('daemon-gone');
    for (const { reject } of waiting.values()) reject(why);
    waiting.clear();
    end(why);
  };

  const feed = frameLines(MOST_ANSWER_BYTES, {
    line(bytes) {
      const message = parseLine(bytes);
      if (message === undefined) return;
      if (typeof message.method === 'string') {
        const { params } = message;
        notified(message.method, typeof params === 'object' ? (params as JsonObject) : {});
        return;
      }
      const request = typeof message.id === 'number' ? waiting.get(message.id) : undefined;
      if (request === undefined) {
        if (message.error !== undefined) farewell = fromRpcError(message.error);
        return;
      }
      waiting.delete(Number(message.id));
      if (message.error === undefined) request.resolve(message.result ?? null);
      else request.reject(fromRpcError(message.error));
    },
    tooLong: () => channel.destroy(),
  });
  channel.attach({ data: feed, finished: () => channel.end(), closed: finish });

  return {
    ended,
    call(method, params = {}) {
      if (over) return Promise.reject(farewell ?? new MeshError('daemon-gone'));
      return new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, { resolve, reject });
        channel.write(encodeLine({ jsonrpc: '2.0', id, method, params }));
      });
    },
    close() {
      channel.end();
    },
  };
}
