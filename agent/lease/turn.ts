/**
 * Tells this process' requests from those of others with the same host key, and the newer ones from the older. A restarted agent takes over
 * from its predecessor at once. Of two machines with one key the later one wins, and the earlier one stops; it comes
 * back when the later one is gone, and not before, so the two never go in turns.
 */
export class Turn {
  #epoch = 1;
  #sequence = 0;
  #isSettled = false;
  #isRaised = false;

  /** For the next request; a repeated request counts as a new one. */
  next(): { epoch: number; sequence: number } {
    this.#sequence += 1;
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** A request was taken: from now on, being superseded means that another process uses this host's key. */
  settle(): void {
    this.#isSettled = true;
    this.#isRaised = false;
  }

  /**
   * Raises the epoch above the held one; false when this process may not. It may once before its first push is taken, and later when the
   * other process' lease is over (`leaseRemaining` 0: the registry remembers the turn of a host that is gone).
   */
  raiseAbove(held: unknown, leaseRemaining: unknown): boolean {
    if (typeof held !== "number" || !Number.isSafeInteger(held + 1)) return false;
    const isFree = !this.#isSettled || leaseRemaining === 0;
    // Raised and superseded again: another process was faster.
    if (!isFree || this.#isRaised) return false;
    this.#isSettled = this.#isRaised = true;
    this.#epoch = held + 1;
    return true;
  }

  /**
   * From now on every request asks with the lowest turn whether the other process is gone. With a turn of its own this one could overtake
   * another that raised to the same epoch, and make few requests because it renews by a link.
   */
  stepBack(): void {
    this.#epoch = 1;
    this.#sequence = 0;
    this.#isRaised = false;
  }
}
