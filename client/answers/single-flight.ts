/** One question on its way. */
export interface Flight {
  /** Whether what it was asked about changed since, so that its answer may be of before. */
  isOutdated: boolean;
}

interface Current<T> extends Flight {
  answer: Promise<T>;
  /** The one that sets off when this one has landed, for those who must not have an older answer. */
  next: Waiting<T> | undefined;
}

interface Waiting<T> {
  answer: Promise<T>;
  setOff: () => void;
}

/**
 * Asks each question once, however many want its answer. Who wants a fresh answer does not join a question that was on its way before,
 * because its answer may be older than the wish; all who came in the meantime share the one after it.
 */
export class SingleFlight<T> {
  readonly #current = new Map<string, Current<T>>();

  /** The answer to `key`, by `ask` when nobody is asking yet. `ask` must not reject. */
  join(key: string, isFresh: boolean, ask: (flight: Flight, isFresh: boolean) => Promise<T>): Promise<T> {
    const current = this.#current.get(key);
    if (current === undefined) return this.#setOff(key, isFresh, ask).answer;
    if (!isFresh) return current.answer;
    current.next ??= this.#waiting(key, ask);
    return current.next.answer;
  }

  /** What `key` is about changed: nobody joins the question under way any more, and who waits behind it need not wait. */
  outdate(key: string): void {
    const current = this.#current.get(key);
    if (current === undefined) return;
    current.isOutdated = true;
    this.#landed(key, current);
  }

  outdateAll(): void {
    for (const key of [...this.#current.keys()]) this.outdate(key);
  }

  /** What is being asked. */
  keys(): Iterable<string> {
    return this.#current.keys();
  }

  #setOff(key: string, isFresh: boolean, ask: (flight: Flight, isFresh: boolean) => Promise<T>): Current<T> {
    const flight: Flight = { isOutdated: false };
    const answer = ask(flight, isFresh);
    const current: Current<T> = Object.assign(flight, { answer, next: undefined });
    this.#current.set(key, current);
    void answer.then(() => this.#landed(key, current));
    return current;
  }

  #waiting(key: string, ask: (flight: Flight, isFresh: boolean) => Promise<T>): Waiting<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    return { answer: promise, setOff: () => resolve(this.#setOff(key, true, ask).answer) };
  }

  #landed(key: string, flight: Current<T>): void {
    // It was outdated before, and another one may be on its way.
    if (this.#current.get(key) !== flight) return;
    this.#current.delete(key);
    flight.next?.setOff();
  }
}
