/** Steps for one host one after the other, in the order they came; those for different hosts side by side. */
export class HostQueue {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Whether a step for the host is under way. */
  isBusy(hostId: string): boolean {
    return this.#last.has(hostId);
  }

  run<T>(hostId: string, step: () => Promise<T>): Promise<T> {
    const own = (this.#last.get(hostId) ?? Promise.resolve()).then(step);
    // The next one begins however this one ends.
    const settled = own.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(hostId, settled);
    void settled.then(() => {
      if (this.#last.get(hostId) === settled) this.#last.delete(hostId);
    });
    return own;
  }
}
