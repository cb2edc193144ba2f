/** So many a second, for all together: those not taken for a while can be taken at once, as many as a second has. */
export class Allowance {
  readonly #perSecond: number;
  readonly #now: () => number;
  #left: number;
  #countedAt: number;

  /** `now` in milliseconds, of a clock that is never set. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#left = perSecond;
    this.#countedAt = now();
  }

  /** False when there is none left now. */
  take(): boolean {
    const now = this.#now();
    const regained = ((now - this.#countedAt) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#perSecond, this.#left + regained);
    this.#countedAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
