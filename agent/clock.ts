/** Time as the loops see it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds that only ever grow: leases and graces must not jump with the wall clock. */
  now(): number;
  /** Runs `run` once after `ms`; the returned function calls it off. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Bell().wait(clock, ms, signal);
}

/** What `work` comes to, or "late" after `ms`: then it is left to itself, and nobody hears of its end. Throws what it throws before. */
export async function inTime<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | "late"> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const cancel = clock.after(ms, () => resolve("late"));
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}

/** Wakes one waiting loop. A ring while nobody waits is kept for the next wait, so no hint falls between two passes. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at a ring, after `ms` (Infinity: never), or as soon as `signal` aborts. */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = Number.isFinite(ms) ? clock.after(ms, resolve) : () => {};
    this.#wake = resolve;
    const stop = (): void => resolve();
    signal.addEventListener("abort", stop);
    if (this.#rung || signal.aborted) resolve();
    return promise.then(() => {
      cancel();
      // The signal lives as long as the agent: a listener left at each wait would pile up.
      signal.removeEventListener("abort", stop);
      this.#wake = undefined;
      this.#rung = false;
    });
  }
}
