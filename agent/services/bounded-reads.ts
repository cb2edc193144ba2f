import { type Clock, inTime } from "../clock.ts";

export interface BoundedReadsOptions {
  clock: Clock;
  /** For how long nothing may be answered until a piece of work is given up for now. */
  limitMs: number;
  /** For how long it is waited for in all. */
  mostMs: number;
  /** What came late is there: the next `result` is that. */
  onLate: () => void;
}

/**
 * Work on a file system that may not answer for long, or never. What was given up goes on, and what it comes to is kept: begun anew, work
 * that takes longer than anybody waits would never be of use.
 */
export class BoundedReads<T> {
  readonly #options: BoundedReadsOptions;
  /** Ends with the last piece of work that was asked for. */
  #last: Promise<unknown> = Promise.resolve();
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** The last piece of work that was given up, until it ends. */
  #late: Promise<T> | undefined;
  #kept: { result: T } | undefined;

  constructor(options: BoundedReadsOptions) {
    this.#options = options;
  }

  /** One piece of work after the other: each that hangs holds one of the process's four threads for files and names of hosts. */
  inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** What a call of the work comes to: whatever it is, the file system has answered. */
  heard<R>(call: Promise<R>): Promise<R> {
    return call.finally(() => {
      this.#answeredAt = this.#options.clock.now();
    });
  }

  /**
   * What came late, else what `work`, which never rejects, comes to in its turn; undefined once no call, of this work or of one before it, was
   * answered for the limit, or it took longer than is waited for in all, and at once while work that was given up goes on.
   */
  async result(work: () => Promise<T>): Promise<T | undefined> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) return kept.result;
    if (this.#late !== undefined) return undefined;
    const underWay = this.inTurn(work);
    const outcome = await this.#untilSilent(underWay);
    if (outcome === "late") this.#keepLater(underWay);
    return outcome === "late" ? undefined : outcome.result;
  }

  async #untilSilent(work: Promise<T>): Promise<{ result: T } | "late"> {
    const { clock, limitMs, mostMs } = this.#options;
    const boxed = work.then((result) => ({ result }));
    const beganAt = clock.now();
    for (;;) {
      const until = Math.max(beganAt, this.#answeredAt) + limitMs;
      const leftMs = Math.min(until, beganAt + mostMs) - clock.now();
      const outcome = leftMs <= 0 ? "late" : await inTime(clock, leftMs, boxed);
      if (outcome !== "late" || leftMs <= 0) return outcome;
    }
  }

  #keepLater(work: Promise<T>): void {
    this.#late = work;
    void work.then((result) => {
      // What was asked for after it is newer.
      if (this.#late !== work) return;
      this.#late = undefined;
      this.#kept = { result };
      this.#options.onLate();
    });
  }
}
