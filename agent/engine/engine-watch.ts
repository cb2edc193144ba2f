import { BerthError, describeFault } from "../../shared/errors.ts";
import { backoffMs, soon } from "../backoff.ts";
import { Bell, type Clock, sleep } from "../clock.ts";
import type { Outage } from "../outage.ts";
import type { Engine } from "./engine.ts";
import { afterFault, afterRead, afterReconnect, type EngineView, firstView } from "./engine-view.ts";
import { Inventory } from "./inventory.ts";

/** A burst of events becomes one pass: the first runs at once, the next this long after the one before has ended. */
const spacingMs = 50;
/** Docker answers an event request a moment before it subscribes, so a first pass can miss what happens in between. */
const settleMs = 1_000;

export interface EngineWatchOptions {
  engine: Engine;
  clock: Clock;
  outage: Outage;
  random: () => number;
  resyncMs: number;
  /** Called whenever more, or less, can be said about the engine's containers; at once when the engine's process ends. */
  onView(view: EngineView): void;
}

/**
 * Watches one engine for good:
 *
 *   subscribe -> (pass -> wait for a hint or the resync) ... -> the stream breaks -> back off -> subscribe
 *
 * A pass that fails is tried again on the same stream: a silent engine keeps it open, and its end is how we learn that the engine died.
 */
export class EngineWatch {
  readonly #options: EngineWatchOptions;
  readonly #inventory: Inventory;
  readonly #closing = new AbortController();
  readonly #bell = new Bell();
  #hinted = new Set<string>();
  #view: EngineView;
  #failures = 0;

  constructor(options: EngineWatchOptions) {
    this.#options = options;
    this.#inventory = new Inventory(options.engine);
    this.#view = firstView(options.clock.now());
  }

  get view(): EngineView {
    return this.#view;
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#watchStream();
      } catch (fault) {
        this.#fail(fault);
      }
      await sleep(this.#options.clock, this.#backoff(), this.#closing.signal);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #watchStream(): Promise<void> {
    const { engine } = this.#options;
    /** Aborted when the stream breaks or the agent closes. */
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const onBroken = (fault: Error): void => {
      // Here and not after the pass under way, which may hang on the dead engine for its whole time limit.
      this.#fail(fault);
      end();
    };
    const stream = await engine.watchEvents((id) => this.#hint(id), onBroken);
    this.#closing.signal.addEventListener("abort", end);
    try {
      this.#inventory.forget();
      this.#setView(afterReconnect(this.#view));
      const liveRestore = await engine.liveRestore();
      if (!this.#closing.signal.aborted) await this.#passes(liveRestore, ended.signal);
    } finally {
      stream.close();
      this.#closing.signal.removeEventListener("abort", end);
    }
  }

  /** Runs passes until `ended`. */
  async #passes(liveRestore: boolean, ended: AbortSignal): Promise<void> {
    const { clock, resyncMs } = this.#options;
    let untilNext = Math.min(settleMs, resyncMs);
    while (!ended.aborted) {
      if (await this.#pass(liveRestore, ended)) {
        await sleep(clock, spacingMs, ended);
        await this.#bell.wait(clock, untilNext, ended);
        untilNext = resyncMs;
      } else {
        await sleep(clock, this.#backoff(), ended);
      }
    }
  }

  async #pass(liveRestore: boolean, ended: AbortSignal): Promise<boolean> {
    const { clock, outage } = this.#options;
    const hinted = this.#hinted;
    this.#hinted = new Set();
    const readAt = clock.now();
    try {
      const read = await this.#inventory.read(hinted, readAt);
      // What was read before the engine ended says nothing about now.
      if (ended.aborted) return false;
      this.#failures = 0;
      outage.end();
      this.#setView(afterRead(read, readAt, liveRestore));
      return true;
    } catch (fault) {
      if (ended.aborted) return false;
      for (const id of hinted) this.#hinted.add(id);
      this.#fail(fault);
      return false;
    }
  }

  #hint(id: string | undefined): void {
    if (id !== undefined) this.#hinted.add(id);
    this.#bell.ring();
  }

  #fail(fault: unknown): void {
    if (this.#closing.signal.aborted) return;
    const error = fault instanceof Error ? fault : new Error(String(fault));
    const gone = error instanceof BerthError && error.facts.gone === true;
    this.#options.outage.begin("engine", describeFault(error));
    this.#setView(afterFault(this.#view, error, gone));
  }

  #setView(view: EngineView): void {
    this.#view = view;
    this.#options.onView(view);
  }

  #backoff(): number {
    return backoffMs(soon, this.#failures++, this.#options.random());
  }
}
