/** A loop that was to be heard of and was not. */
export interface Overdue {
  loop: string;
  /** Since when, in milliseconds. */
  lateMs: number;
}

/**
 * Whether a part's loops still turn, which is more than that its process lives. A loop that is about to wait says within which time it
 * will be heard of again; the bound is its own, because one waits for a timer of seconds and another for a call with a limit of minutes.
 */
export class Progress {
  readonly #now: () => number;
  readonly #due = new Map<string, number>();

  /** `now` in milliseconds, of a clock that is never set. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `loop` got on, and does so again within `withinMs`. */
  beat(loop: string, withinMs: number): void {
    this.#due.set(loop, this.#now() + withinMs);
  }

  /** `loop` is done; nothing more is expected of it. */
  end(loop: string): void {
    this.#due.delete(loop);
  }

  /** The loops that are late, the latest first; none means that all is well. A loop never heard of is not known, and not late. */
  overdue(): Overdue[] {
    const now = this.#now();
    return [...this.#due]
      .map(([loop, due]) => ({ loop, lateMs: now - due }))
      .filter(({ lateMs }) => lateMs > 0)
      .sort((a, b) => b.lateMs - a.lateMs);
  }
}
