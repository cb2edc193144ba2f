import type { Name } from "../../shared/name.ts";
import { AnswerCache, type CacheLimits, type StaleAnswer, serviceOf } from "./answer-cache.ts";
import type { Lifetime } from "./lifetime.ts";
import { type Flight, SingleFlight } from "./single-flight.ts";

/** What came of one question. */
export interface Asked<T> {
  value: T;
  /** How long it may be kept; undefined for what is no answer. */
  lifetime: Lifetime | undefined;
  /** No resolver could answer: what was answered before may stand in. */
  isUnanswered?: boolean;
  /** Nothing is at the name, nor below it. */
  isAbsent?: boolean;
  weight: number;
}

export interface RememberedPorts<T> {
  now: () => number;
  after: (ms: number, run: () => void) => () => void;
  /** Asks the resolvers, within a time limit of its own; must not reject. */
  ask: (name: Name, kind: number, isFresh: boolean) => Promise<Asked<T>>;
  /** Whether the resolver to turn to did not answer when it was last asked. */
  isFailing: () => boolean;
  asStale: (value: T, staleUntil: number) => T;
  /** What a question reads as whose asker went away. */
  calledOff: T;
  limits: CacheLimits;
}

/** RFC 8767 §5, the client response timer: so long a question waits for a resolver when there is an old answer. */
const patienceMs = 1_800;
/** The same once it is known that resolvers fail. */
const patienceOfFailureMs = 300;
/** RFC 8767 §5, the failure recheck timer: so long nobody is asked again. */
const recheckMs = 1_000;

/** Answers, asked for once and remembered for as long as they are good, or for longer while nobody answers. */
export class Remembered<T> {
  readonly #ports: RememberedPorts<T>;
  readonly #cache: AnswerCache<T>;
  readonly #flights = new SingleFlight<Asked<T>>();
  readonly counts = { hits: 0, misses: 0, stale: 0 };

  constructor(ports: RememberedPorts<T>) {
    this.#ports = ports;
    this.#cache = new AnswerCache(ports.limits);
  }

  get size(): number {
    return this.#cache.size;
  }

  /** A good answer that is at hand. */
  atHand(name: Name, kind: number): T | undefined {
    const value = this.#cache.recall(name, kind, this.#ports.now());
    if (value !== undefined) this.counts.hits++;
    return value;
  }

  /** Never rejects. The end of `signal` ends the waiting, not the question: others may wait for it, and its answer is kept. */
  async get(name: Name, kind: number, isFresh: boolean, signal?: AbortSignal): Promise<T> {
    const known = isFresh ? undefined : this.atHand(name, kind);
    if (known !== undefined) return known;
    this.counts.misses++;
    const stale = isFresh ? undefined : this.#cache.recallStale(name, kind, this.#ports.now());
    const asked = stale === undefined ? this.#ask(name, kind, isFresh) : this.#askOrStale(name, kind, stale);
    return this.#whileWanted(asked, signal);
  }

  /** Something of these services changed: what is known of them is known no more. */
  drop(services: ReadonlySet<Name> | "all"): void {
    if (services === "all") {
      this.#cache.clear();
      this.#flights.outdateAll();
      return;
    }
    this.#cache.drop(services);
    for (const key of [...this.#flights.keys()]) {
      if (services.has(serviceOf(nameOfKey(key)))) this.#flights.outdate(key);
    }
  }

  async #ask(name: Name, kind: number, isFresh: boolean): Promise<T> {
    return (await this.#asked(name, kind, isFresh)).value;
  }

  async #asked(name: Name, kind: number, isFresh: boolean): Promise<Asked<T>> {
    return this.#flights.join(`${kind} ${name}`, isFresh, async (flight, isAskedFresh) => {
      const asked = await this.#ports.ask(name, kind, isAskedFresh);
      this.#learn(name, kind, asked, flight);
      return asked;
    });
  }

  async #askOrStale(name: Name, kind: number, stale: StaleAnswer<T>): Promise<T> {
    const { now, isFailing } = this.#ports;
    const { failedAt } = stale;
    if (failedAt !== undefined && now() - failedAt < recheckMs) return this.#serve(stale);
    const waitMs = failedAt !== undefined || isFailing() ? patienceOfFailureMs : patienceMs;
    const asked = await this.#within(waitMs, this.#asked(name, kind, false));
    if (asked !== undefined && !asked.isUnanswered) return asked.value;
    // It may be gone by now: something changed.
    const left = this.#cache.recallStale(name, kind, now());
    if (left !== undefined) {
      this.#cache.failed(name, kind, now());
      return this.#serve(left);
    }
    return asked?.value ?? this.#ask(name, kind, false);
  }

  #serve(stale: StaleAnswer<T>): T {
    this.counts.stale++;
    return this.#ports.asStale(stale.value, stale.staleUntil);
  }

  #learn(name: Name, kind: number, asked: Asked<T>, { isOutdated }: Flight): void {
    if (isOutdated || asked.lifetime === undefined) return;
    if (asked.isAbsent) this.#cache.dropBelow(name);
    const { value, weight, lifetime } = asked;
    this.#cache.keep(name, kind, { value, weight, ...lifetime }, this.#ports.now());
  }

  /** Undefined when `asked` takes longer. */
  #within(ms: number, asked: Promise<Asked<T>>): Promise<Asked<T> | undefined> {
    const { promise, resolve } = Promise.withResolvers<Asked<T> | undefined>();
    const stop = this.#ports.after(ms, () => resolve(undefined));
    void asked.then(resolve);
    return promise.finally(stop);
  }

  #whileWanted(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return answer;
    if (signal.aborted) return Promise.resolve(this.#ports.calledOff);
    const { promise, resolve } = Promise.withResolvers<T>();
    const leave = (): void => resolve(this.#ports.calledOff);
    signal.addEventListener("abort", leave, { once: true });
    void answer.then(resolve);
    return promise.finally(() => signal.removeEventListener("abort", leave));
  }
}

function nameOfKey(key: string): Name {
  return key.slice(key.indexOf(" ") + 1) as Name;
}
