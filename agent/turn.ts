/**
 * Tells this process' requests from those of others with the same host key, and the newer ones from the older. A process
 * may raise its epoch once, before its first push is taken: so a restarted agent takes over from its predecessor at once, and of two
 * machines with one key the later one wins, and the earlier one stops, for good and not in turns.
 */
export class Turn {
  #epoch = 1;
  #sequence = 0;
  #settled = false;

  /** For the next request; a repeated request counts as a new one. */
  next(): { epoch: number; sequence: number } {
    this.#sequence += 1;
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** A push was taken: from now on, being superseded means that another process uses this host's key. */
  settle(): void {
    this.#settled = true;
  }

  /** Raises the epoch above the held one; false when this process may not. */
  raiseAbove(held: unknown): boolean {
    if (this.#settled || typeof held !== "number" || !Number.isSafeInteger(held + 1)) return false;
    this.#settled = true;
    this.#epoch = held + 1;
    return true;
  }
}
