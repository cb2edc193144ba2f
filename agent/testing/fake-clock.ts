import type { Clock } from "../clock.ts";

interface Timer {
  at: number;
  run: () => void;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now = 0;
  #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets what is under way finish, then moves on, timer by timer, letting each one's consequences finish in turn. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = [...this.#timers]
        .filter(({ at }) => at <= end)
        .sort((left, right) => left.at - right.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }
}

/** Digests and signatures that Node computes on its other threads: what waits for one is not idle, however long it takes. */
let computations = 0;
for (const name of ["digest", "importKey", "verify"] as const) {
  const compute = crypto.subtle[name].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>;
  const counted = (...given: unknown[]): Promise<unknown> => {
    computations += 1;
    return compute(...given).finally(() => {
      computations -= 1;
    });
  };
  Object.defineProperty(crypto.subtle, name, { value: counted });
}

/** Until nothing is computed and promises have had their turns. */
export async function settle(): Promise<void> {
  for (let idle = 0; idle < 4; idle = computations === 0 ? idle + 1 : 0)
    await new Promise((resolve) => setImmediate(resolve));
}
