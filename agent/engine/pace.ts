import type { Clock } from "../clock.ts";

/** The first change is shown at once; while more keep coming, after waits that double from the first to the last of these. */
const spacingMs = { first: 50, last: 400 };
/** After this long without a change the next one is a first one again. */
const calmMs = 1_000;

/** Merges changes, so that a burst of hundreds becomes a handful, and one alone waits for nothing. */
export class Pace {
  readonly #clock: Clock;
  readonly #show: () => void;
  #shownAt = -Infinity;
  #spacing = spacingMs.first;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, show: () => void) {
    this.#clock = clock;
    this.#show = show;
  }

  changed(): void {
    if (this.#cancel !== undefined) return;
    const wait = this.#shownAt + this.#spacing - this.#clock.now();
    if (wait <= 0) this.#now();
    else this.#cancel = this.#clock.after(wait, () => this.#now());
  }

  /** What changed need not be shown any more: somebody else has, or it is true no longer. */
  settle(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #now(): void {
    this.settle();
    const now = this.#clock.now();
    const isCalm = now - this.#shownAt >= calmMs;
    this.#spacing = isCalm ? spacingMs.first : Math.min(spacingMs.last, this.#spacing * 2);
    this.#shownAt = now;
    this.#show();
  }
}
