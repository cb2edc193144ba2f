import type { Clock } from "../clock.ts";

/** The first change is shown at once; while more come faster than that, after waits that double from the first to the last of these. */
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
    if (wait <= 0) this.#now(false);
    else this.#cancel = this.#clock.after(wait, () => this.#now(true));
  }

  /** What changed need not be shown any more: somebody else has, or it is true no longer. */
  settle(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** `hasWaited`: changes come faster than they are shown. A restart each half second is no burst, and waits for nothing. */
  #now(hasWaited: boolean): void {
    this.settle();
    const now = this.#clock.now();
    const isCalm = now - this.#shownAt >= calmMs;
    if (isCalm) this.#spacing = spacingMs.first;
    else if (hasWaited) this.#spacing = Math.min(spacingMs.last, this.#spacing * 2);
    this.#shownAt = now;
    this.#show();
  }
}
