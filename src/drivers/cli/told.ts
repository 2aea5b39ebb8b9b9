/** What a link tells, kept in order until somebody asks for it. */
export interface Told<T> {
  add(one: T): void;
  next(): Promise<T>;
}

export function createTold<T>(): Told<T> {
  const come: T[] = [];
  let wake: () => void = () => undefined;
  return {
    add(one) {
      come.push(one);
      wake();
    },
    async next() {
      for (;;) {
        const first = come.shift();
        if (first !== undefined) return first;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
