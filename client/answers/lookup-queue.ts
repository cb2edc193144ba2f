import { BerthError } from "../../shared/errors.ts";

export interface LookupLimits {
  /** As many as there is something to run them: more would wait where none can be given up. */
  atOnce: number;
  waiting: number;
  /** Milliseconds after which nobody waits for one any more that has not begun. */
  waitMs: number;
}

interface Waiting {
  since: number;
  begin: () => void;
  giveUp: (fault: BerthError) => void;
}

/**
 * Runs so many look-ups at once, and the others in their order as places become free. One that has begun cannot be ended, so those that
 * nobody waits for any more never begin. `now` is milliseconds of any clock that only goes up.
 */
export class LookupQueue {
  readonly #limits: LookupLimits;
  readonly #now: () => number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(limits: LookupLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** What `lookup` gives. Rejects with a BerthError `lookups-busy` when it does not get to begin. */
  async run<T>(lookup: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.atOnce) this.#running++;
    else await this.#placeFree();
    try {
      return await lookup();
    } finally {
      this.#leave();
    }
  }

  #placeFree(): Promise<void> {
    this.#giveUpLate();
    if (this.#waiting.length >= this.#limits.waiting) throw this.#busy();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ since: this.#now(), begin: resolve, giveUp: reject });
    return promise;
  }

  /** The place goes from one to the next. */
  #leave(): void {
    this.#giveUpLate();
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next.begin();
  }

  #giveUpLate(): void {
    const first = this.#now() - this.#limits.waitMs;
    while (this.#waiting[0] !== undefined && this.#waiting[0].since <= first) {
      this.#waiting.shift()?.giveUp(this.#busy());
    }
  }

  #busy(): BerthError {
    const message = `too many names are being looked up, ${this.#running} at once and ${this.#waiting.length} waiting; try again when the system's name servers answer`;
    return new BerthError("lookups-busy", message, { retryable: true });
  }
}
