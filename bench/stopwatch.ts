/** How long is spent inside ports: each call is timed, also those of the handles that it hands out. */
import type { Engine, Handle } from '../src/usecases/ports/engine.ts';

export class Stopwatch {
  /** By the name of the call. */
  readonly calls = new Map<string, { count: number; microseconds: number }>();

  get microseconds(): number {
    return [...this.calls.values()].reduce((sum, call) => sum + call.microseconds, 0);
  }

  reset(): void {
    this.calls.clear();
  }

  /** Calls of an engine call nothing else that is timed, so nothing counts twice. */
  around<T>(name: string, call: () => T): T {
    const began = process.cpuUsage();
    try {
      return call();
    } finally {
      const taken = this.calls.get(name) ?? { count: 0, microseconds: 0 };
      taken.count += 1;
      const { user, system } = process.cpuUsage(began);
      taken.microseconds += user + system;
      this.calls.set(name, taken);
    }
  }

  /** The function, timed under this name. */
  call<Args extends readonly unknown[], Answer>(
    name: string,
    call: (...args: Args) => Answer,
  ): (...args: Args) => Answer {
    return (...args) => this.around(name, () => call(...args));
  }

  engine(engine: Engine): Engine {
    return this.#timed('engine', engine);
  }

  #timed<T extends object>(what: string, target: T): T {
    return new Proxy(target, {
      get: (_, key) => {
        const name = `${what}.${String(key)}`;
        // Its own properties are private to it, so it must be the one that is called.
        const value: unknown = this.around(name, () => Reflect.get(target, key, target));
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => this.#handles(key, this.around(name, () => value.apply(target, args)));
      },
    });
  }

  /** Handles stand alone, in a result, or beside a plaintext in a result. */
  #handles(key: string | symbol, answer: unknown): unknown {
    if (typeof answer !== 'object' || answer === null) return answer;
    if (isHandle(answer)) return this.#timed(String(key).replace(/^(create|restore|start|accept|import)/, ''), answer);
    if ('ok' in answer) return { ok: this.#handles(key, answer.ok) };
    if ('session' in answer) return { ...answer, session: this.#handles(key, answer.session) };
    return answer;
  }
}

function isHandle(value: object): value is Handle {
  return 'dispose' in value;
}
