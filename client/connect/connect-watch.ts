import { describeFault } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import type { Destination } from "../answers/destination.ts";
import type { Resolution } from "../answers/resolution.ts";
import type { StubResolver } from "../stub-resolver.ts";

/** One connection that waits for a name to be somewhere else, or there again. */
export interface Waiter {
  /** A fresh answer, the same one for all who wait for it. */
  answered(resolution: Resolution): void;
  /** Its turn to try once more what failed; false when it has nothing to try. */
  retry(): boolean;
}

export interface WatchPorts {
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** From 0 up to, not including, 1. */
  random: () => number;
  /** Runs `run` once after `ms`; the function returned calls it off. */
  after(ms: number, run: () => void): () => void;
}

const firstWaitMs = 200;
const longestWaitMs = 1_000;
/** Who comes later than a question waits no longer for the next than a person notices, whatever the others' wait has grown to. */
const joinPauseMs = 50;
/** A port may be published a moment before its program listens. */
const retryMs = 100;

/**
 * Asks again, past every cache, for the names that connections wait for: at once, when something is heard to have changed, and after
 * 200 ms to 1 s. However many wait for a port of a name, there is one question at a time, and one of them at a time tries again what was refused;
 * when it succeeds, all do.
 */
export class ConnectWatches {
  readonly #stub: StubResolver;
  readonly #resolveMs: number;
  readonly #ports: WatchPorts;
  readonly #watches = new Map<string, Watch>();

  /** `resolveMs` bounds one question. */
  constructor(stub: StubResolver, resolveMs: number, ports: WatchPorts) {
    this.#stub = stub;
    this.#resolveMs = resolveMs;
    this.#ports = ports;
  }

  /** Wakes `waiter` until the function returned is called; never during this call itself. */
  join(name: Name, destination: Destination, waiter: Waiter): () => void {
    const key = watchKey(name, destination.port);
    const watch = this.#watches.get(key) ?? this.#open(key, name, destination);
    watch.join(waiter);
    return () => {
      if (watch.leave(waiter) && this.#watches.get(key) === watch) this.#watches.delete(key);
    };
  }

  /** Something about these names has changed. */
  changed(names: ReadonlySet<Name> | "all"): void {
    for (const watch of this.#watches.values()) {
      if (names === "all" || names.has(watch.name)) watch.changed();
    }
  }

  /** A connection came about: whoever waits for the same may try. */
  connected(name: Name, port: number): void {
    this.#watches.get(watchKey(name, port))?.retryAll();
  }

  get size(): number {
    return this.#watches.size;
  }

  #open(key: string, name: Name, destination: Destination): Watch {
    const ask = (signal: AbortSignal) => this.#stub.resolve(destination, { fresh: true, signal });
    const watch = new Watch(name, ask, this.#resolveMs, this.#ports);
    this.#watches.set(key, watch);
    return watch;
  }
}

class Watch {
  readonly name: Name;
  readonly #askOnce: (signal: AbortSignal) => Promise<Resolution>;
  readonly #resolveMs: number;
  readonly #ports: WatchPorts;
  readonly #waiters = new Set<Waiter>();
  #asking: AbortController | undefined;
  /** Something happened since the question under way was asked. */
  #again = false;
  /** Somebody joined since the question under way was asked. */
  #hasLateComer = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #waitMs = firstWaitMs;
  #cancelAsk = () => {};
  #cancelRetry: (() => void) | undefined;

  constructor(
    name: Name,
    ask: (signal: AbortSignal) => Promise<Resolution>,
    resolveMs: number,
    ports: WatchPorts,
  ) {
    this.name = name;
    this.#askOnce = ask;
    this.#resolveMs = resolveMs;
    this.#ports = ports;
  }

  join(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.#cancelRetry ??= this.#ports.after(retryMs, () => this.#retryOne());
    // An answer it could have had already is no fresh one to it; but so many may come that not each can have a question.
    if (this.#asking === undefined) this.#askIn(this.#askedAt + joinPauseMs - this.#ports.now());
    else this.#hasLateComer = true;
  }

  /** Whether nobody is left, so that all has ended. */
  leave(waiter: Waiter): boolean {
    this.#waiters.delete(waiter);
    if (this.#waiters.size > 0) return false;
    this.#cancelAsk();
    this.#cancelRetry?.();
    this.#asking?.abort();
    return true;
  }

  changed(): void {
    this.#waitMs = firstWaitMs;
    if (this.#asking === undefined) this.#ask();
    else this.#again = true;
  }

  retryAll(): void {
    for (const waiter of [...this.#waiters]) waiter.retry();
  }

  #retryOne(): void {
    this.#cancelRetry = this.#ports.after(retryMs, () => this.#retryOne());
    for (const waiter of this.#waiters) {
      if (!waiter.retry()) continue;
      // The next time it is another one's turn.
      if (this.#waiters.delete(waiter)) this.#waiters.add(waiter);
      return;
    }
  }

  #askIn(ms: number): void {
    this.#cancelAsk();
    if (ms <= 0) this.#ask();
    else this.#cancelAsk = this.#ports.after(ms, () => this.#ask());
  }

  #ask(): void {
    this.#cancelAsk();
    this.#again = false;
    this.#hasLateComer = false;
    this.#askedAt = this.#ports.now();
    const asking = new AbortController();
    this.#asking = asking;
    const limit = this.#ports.after(this.#resolveMs, () => asking.abort());
    const noAnswer = (fault: unknown) => ({ kind: "no-answer", reason: describeFault(fault) }) as const;
    void this.#askOnce(asking.signal)
      .catch(noAnswer)
      .then((resolution) => {
        limit();
        this.#asking = undefined;
        if (this.#waiters.size > 0) this.#answered(resolution);
      });
  }

  #answered(resolution: Resolution): void {
    for (const waiter of [...this.#waiters]) waiter.answered(resolution);
    if (this.#waiters.size === 0) return;
    if (this.#again) {
      this.#ask();
      return;
    }
    if (this.#hasLateComer) {
      this.#askIn(joinPauseMs);
      return;
    }
    // Spread, so that the clients of a name do not all ask in step.
    const waitMs = this.#waitMs * (0.75 + this.#ports.random() / 2);
    this.#waitMs = Math.min(longestWaitMs, this.#waitMs * 1.5);
    this.#askIn(waitMs);
  }
}

function watchKey(name: Name, port: number): string {
  return `${name} ${port}`;
}
