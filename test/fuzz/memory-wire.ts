/** Carries what the ends of connections in memory tell each other: always in a later turn of the event loop, as a network does. */
export class MemoryWire {
  /** Connections' ends that are not destroyed yet. */
  open = 0;
  /** Whatever went over it: while this stays as it is, nothing happens. */
  #moves = 0;
  #waiting: (() => void)[] = [];

  /** All that waits is delivered in one go, so that nothing of what is sent together is answered in between. */
  deliver(tell: () => void): void {
    this.#moves++;
    this.#waiting.push(tell);
    if (this.#waiting.length === 1) setImmediate(() => this.#deliverAll());
  }

  /** Resolves when nothing moves any more. Throws when that never comes. */
  async rest(): Promise<void> {
    let stillFor = 0;
    for (let turns = 0; stillFor < turnsOfRest; turns++) {
      if (turns === mostTurns) throw new Error("the proxy goes on for ever");
      const before = this.#moves;
      await new Promise(setImmediate);
      stillFor = this.#moves === before ? stillFor + 1 : 0;
    }
  }

  #deliverAll(): void {
    const delivered = this.#waiting;
    this.#waiting = [];
    for (const [index, tell] of delivered.entries()) {
      try {
        tell();
      } catch (fault) {
        // It is a fault of one connection, and the others are to go on until it is known of which.
        this.#waiting.unshift(...delivered.slice(index + 1));
        if (this.#waiting.length > 0) setImmediate(() => this.#deliverAll());
        throw fault;
      }
    }
  }
}

/** Steps that need no wire, such as promises, take no turn; Node puts some of its own off by one. */
const turnsOfRest = 3;
const mostTurns = 20_000;
