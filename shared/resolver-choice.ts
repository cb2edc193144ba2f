/** Milliseconds a resolver that failed is passed over while another one is left; doubled with each failure in a row. */
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;

interface Failing {
  /** When it may be tried again before others. */
  until: number;
  waitMs: number;
  why: string | undefined;
}

/** How one of several resolvers is: the one turned to, one that is there if need be, or one that did not answer when it was last asked. */
export interface ResolverState {
  url: string;
  state: "current" | "standby" | "failing";
  /** Why it is failing, as far as it is known. */
  fault?: string;
}

/**
 * Which of several interchangeable resolvers to turn to: the one that worked last, for as long as it works. One that failed is passed
 * over for a while, so that a dead one does not cost every request a timeout; but no request is left without a resolver to ask because
 * all of them failed. Times are milliseconds of any clock that only goes up.
 */
export class ResolverChoice {
  readonly #urls: readonly [string, ...string[]];
  readonly #failing = new Map<string, Failing>();
  #current: string;

  /** `urls` as the user ordered them, without duplicates: the first one is asked first. Throws a RangeError when there is none. */
  constructor(urls: readonly string[]) {
    const [first, ...others] = urls;
    if (first === undefined) throw new RangeError("there is no resolver to choose");
    this.#urls = [first, ...others];
    this.#current = first;
  }

  /** The one to turn to. */
  current(): string {
    return this.#current;
  }

  /**
   * Every resolver once, in the order to try them for one request that must not wait: the current one, then those that are not passed
   * over in the user's order, then the others as their waits end.
   */
  order(now: number): [string, ...string[]] {
    const others = this.#urls.filter((url) => url !== this.#current);
    return [this.#current, ...others.toSorted((a, b) => this.#waitOf(a, now) - this.#waitOf(b, now))];
  }

  /** Every resolver in the user's order. The current one is failing too when it was the last that did. */
  states(): ResolverState[] {
    return this.#urls.map((url) => {
      const failing = this.#failing.get(url);
      if (failing === undefined) return { url, state: url === this.#current ? "current" : "standby" };
      return { url, state: "failing", ...(failing.why === undefined ? {} : { fault: failing.why }) };
    });
  }

  /** Whether the one to turn to did not answer when it was last asked. */
  isFailing(): boolean {
    return this.#failing.has(this.#current);
  }

  /**
   * It gave no answer, for the reason given: the next one is current. Failures of requests that were under way at the same time count as
   * one.
   */
  failed(url: string, now: number, why?: string): void {
    const before = this.#failing.get(url);
    if (before === undefined || before.until <= now) {
      const waitMs = Math.min(before === undefined ? firstWaitMs : before.waitMs * 2, longestWaitMs);
      this.#failing.set(url, { until: now + waitMs, waitMs, why });
    } else before.why = why;
    if (url !== this.#current) return;
    const [, next] = this.order(now);
    if (next !== undefined && this.#waitOf(next, now) <= this.#waitOf(url, now)) this.#current = next;
  }

  /** It answered: it is the one to keep to. */
  worked(url: string): void {
    this.#failing.delete(url);
    this.#current = url;
  }

  #waitOf(url: string, now: number): number {
    return Math.max(0, (this.#failing.get(url)?.until ?? now) - now);
  }
}
