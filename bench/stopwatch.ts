/**
 * How much of the processor is spent inside ports: each call is timed, also those of the handles that it hands out.
 * What other programs do on the same machine does not count. A call must not lead to another one that is timed, or
 * that would count twice.
 */
import type { Engine, Handle } from '../src/usecases/ports/engine.ts';

export class Stopwatch {
  #microseconds = 0;

  get microseconds(): number {
    return this.#microseconds;
  }

  reset(): void {
    this.#microseconds = 0;
  }

  call<Args extends readonly unknown[], Answer>(call: (...args: Args) => Answer): (...args: Args) => Answer {
    return (...args) => this.#during(() => call(...args));
  }

  engine(engine: Engine): Engine {
    return this.#handle(engine);
  }

  #during<T>(work: () => T): T {
    const began = process.cpuUsage();
    try {
      return work();
    } finally {
      const { user, system } = process.cpuUsage(began);
      this.#microseconds += user + system;
    }
  }

  #handle<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, key) => {
        // What is private belongs to the target, so that is what answers.
        const read = (): unknown => Reflect.get(target, key, target);
        if (isComputed(target, key)) return this.#during(read);
        const value = read();
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => this.#handlesIn(this.#during(() => value.apply(target, args)));
      },
    });
  }

  /** A handle stands alone, in a result, or beside a plaintext in a result. */
  #handlesIn(answer: unknown): unknown {
    if (typeof answer !== 'object' || answer === null) return answer;
    if (isHandle(answer)) return this.#handle(answer);
    if ('ok' in answer) return { ok: this.#handlesIn(answer.ok) };
    if ('session' in answer) return { ...answer, session: this.#handlesIn(answer.session) };
    return answer;
  }
}

function isHandle(value: object): value is Handle {
  return 'dispose' in value;
}

function isComputed(target: object, key: string | symbol): boolean {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, key);
    if (found !== undefined) return found.get !== undefined;
  }
  return false;
}
