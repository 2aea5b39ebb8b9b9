/**
 * Serves methods to clients that may be slow, dead or hostile: what one of them does costs the others nothing.
 * A client has so many requests at a time, and may leave so much unread; beyond the one it is not read from,
 * beyond the other it is dropped with a last error.
 */
import { MeshError } from '../../entities/errors.ts';
import type { Clock } from '../../usecases/ports/clock.ts';
import type { Channel } from './channel.ts';
import { frameLines } from './line-framing.ts';
import {
  encodeLine,
  failure,
  type Json,
  type JsonObject,
  MOST_LINE_BYTES,
  notification,
  type Request,
  type RequestId,
  readRequest,
  response,
} from './protocol.ts';

/** What a method knows of the one who called it. */
export interface Caller {
  notify(method: string, params: JsonObject): void;
  /** Runs when the client has gone. Called at once where it has gone already. */
  onGone(call: () => void): void;
}

export type Method = (params: JsonObject, caller: Caller) => Promise<Json>;
export type MethodTable = Readonly<Record<string, Method>>;

export interface ServerLimits {
  readonly lineBytes: number;
  readonly unreadBytes: number;
  readonly requests: number;
  readonly clients: number;
  /** Milliseconds that a client that is dropped has to read why. */
  readonly farewell: number;
}

export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  lineBytes: MOST_LINE_BYTES,
  unreadBytes: 16 * 1024 * 1024,
  requests: 256,
  clients: 256,
  farewell: 1000,
};

export interface RpcServer {
  accept(channel: Channel): void;
  /** From now on every request is answered with `daemon-stopping`. Resolves when none is under way any more. */
  drain(): Promise<void>;
  /** Answers what is under way with `daemon-stopping`, and ends all connections. */
  stop(): void;
}

export interface RpcServerParts {
  readonly methods: MethodTable;
  readonly clock: Pick<Clock, 'after'>;
  /** A method failed with what is no `MeshError`: the program is wrong, and the caller learns no more. */
  readonly bug: (error: unknown) => void;
  readonly limits?: Partial<ServerLimits>;
}

export function createRpcServer({ methods, clock, bug, limits: given }: RpcServerParts): RpcServer {
  const limits = { ...DEFAULT_SERVER_LIMITS, ...given };
  const clients = new Set<Client>();
  let draining = false;
  let stopped = false;
  let underWay = 0;
  let idle: (() => void)[] = [];

  class Client implements Caller {
    readonly #channel: Channel;
    readonly #pending = new Map<symbol, RequestId | undefined>();
    #gone: (() => void)[] = [];
    #over = false;
    #paused = false;
    #finished = false;

    constructor(channel: Channel) {
      this.#channel = channel;
      const feed = frameLines(limits.lineBytes, {
        line: (bytes) => this.#line(bytes),
        tooLong: () => this.#say(failure(null, new MeshError('rpc-too-large', { most: limits.lineBytes }))),
      });
      channel.attach({
        data: (bytes) => {
          if (!this.#over) feed(bytes);
        },
        finished: () => {
          this.#finished = true;
          this.#endIfDone();
        },
        closed: () => this.#leave(),
      });
    }

    notify(method: string, params: JsonObject): void {
      this.#say(notification(method, params));
    }

    onGone(call: () => void): void {
      if (this.#over) call();
      else this.#gone.push(call);
    }

    /** Says why, as long as the client may still read, and lets it go. */
    drop(error: MeshError): void {
      if (this.#over) return;
      for (const id of this.#pending.values()) {
        if (id !== undefined) this.#channel.write(encodeLine(failure(id, error)));
      }
      if (this.#pending.size === 0) this.#channel.write(encodeLine(failure(null, error)));
      this.#channel.end();
      clock.after(limits.farewell, () => this.#channel.destroy());
      this.#leave();
    }

    /** Ends the connection of a client that waits for nothing. */
    dismiss(): void {
      if (this.#pending.size > 0) this.drop(new MeshError('daemon-stopping'));
      else {
        this.#channel.end();
        clock.after(limits.farewell, () => this.#channel.destroy());
        this.#leave();
      }
    }

    #say(message: JsonObject): void {
      if (this.#over) return;
      this.#channel.write(encodeLine(message));
      if (this.#channel.unsent > limits.unreadBytes) this.drop(new MeshError('rpc-slow-client'));
    }

    #line(line: Uint8Array): void {
      const request = readRequest(line);
      if ('error' in request) return this.#say(failure(request.id, request.error));
      void this.#answer(request);
    }

    async #answer({ id, method, params }: Request): Promise<void> {
      const ticket = Symbol(method);
      this.#pending.set(ticket, id);
      underWay += 1;
      if (this.#pending.size >= limits.requests) {
        this.#paused = true;
        this.#channel.pause();
      }
      const answer = await this.#run(method, params).then(
        (result) => (id === undefined ? undefined : response(id, result)),
        (error: unknown) => (id === undefined ? undefined : failure(id, this.#explain(error))),
      );
      this.#pending.delete(ticket);
      if (answer !== undefined) this.#say(answer);
      if (this.#paused && !this.#over && this.#pending.size < limits.requests) {
        this.#paused = false;
        this.#channel.resume();
      }
      this.#endIfDone();
      underWay -= 1;
      if (underWay === 0) for (const resolve of idle.splice(0)) resolve();
    }

    /** A client that only asks, as a pipe into the socket does, gets its answers before the end. */
    #endIfDone(): void {
      if (this.#finished && this.#pending.size === 0) this.#channel.end();
    }

    async #run(name: string, params: JsonObject): Promise<Json> {
      if (draining) throw new MeshError('daemon-stopping');
      const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (method === undefined) throw new MeshError('rpc-unknown-method', { method: name });
      return method(params, this);
    }

    #explain(error: unknown): MeshError {
      if (error instanceof MeshError) return error;
      // All is being closed under it, and its caller was told so already.
      if (stopped) return new MeshError('daemon-stopping');
      bug(error);
      return new MeshError('bug', { detail: 'a request could not be answered' });
    }

    #leave(): void {
      if (this.#over) return;
      this.#over = true;
      clients.delete(this);
      const calls = this.#gone;
      this.#gone = [];
      for (const call of calls) call();
    }
  }

  return {
    accept(channel) {
      const client = new Client(channel);
      if (clients.size >= limits.clients) return client.drop(new MeshError('rpc-too-many-clients'));
      clients.add(client);
    },
    drain() {
      draining = true;
      if (underWay === 0) return Promise.resolve();
      return new Promise((resolve) => {
        idle.push(resolve);
      });
    },
    stop() {
      draining = true;
      stopped = true;
      for (const client of [...clients]) client.dismiss();
      idle = [];
    },
  };
}
