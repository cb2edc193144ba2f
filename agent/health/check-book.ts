import { describeFault } from "../../shared/errors.ts";
import type { Clock } from "../clock.ts";
import type { CheckState, WantedCheck } from "../declare/input.ts";
import { type CheckHistory, historyAfter, nextProbeMs, unchecked } from "./check-state.ts";

/**
 * Looks once whether the check's target serves. Resolves with what is wrong, or with undefined when nothing is, within the check's
 * time limit; `signal` ends it early.
 */
export type Probe = (check: WantedCheck, signal: AbortSignal) => Promise<string | undefined>;

export interface CheckBookOptions {
  clock: Clock;
  /** 0 to 1. */
  random: () => number;
  /** A check's state has changed. Never called from within `want` or `close`. */
  onChange: () => void;
  probe: Probe;
}

interface RunningCheck {
  check: WantedCheck;
  history: CheckHistory;
  fault: string | undefined;
  stop: AbortController;
  cancelNext: () => void;
}

const mostChecks = 1_000;
/** More connects at once would be a burst the host's services notice. */
const mostProbes = 32;
const tooMany = `it is not checked: one agent runs at most ${mostChecks} checks`;

/** The agent's own health checks: keeps the wanted ones running, and says what they found. */
export class CheckBook {
  readonly #options: CheckBookOptions;
  readonly #running = new Map<string, RunningCheck>();
  /** Wanted, but one too many. */
  readonly #refused = new Set<string>();
  /** Waiting for one of the probes under way to end. */
  readonly #due = new Set<RunningCheck>();
  #probing = 0;
  #closed = false;

  constructor(options: CheckBookOptions) {
    this.#options = options;
  }

  /** The whole set of checks to run from now on: new ones begin at once, those that are not in it end, the others are not disturbed. */
  want(checks: readonly WantedCheck[]): void {
    if (this.#closed) return;
    const wanted = new Map(checks.map((check) => [check.key, check]));
    for (const [key, running] of this.#running) if (!wanted.has(key)) this.#end(key, running);
    this.#refused.clear();
    for (const [key, check] of wanted) {
      if (this.#running.has(key)) continue;
      if (this.#running.size < mostChecks) this.#begin(check);
      else this.#refused.add(key);
    }
  }

  /** Of every wanted check, by key. One that could not be begun stays `starting`. */
  states(): ReadonlyMap<string, CheckState> {
    const states = new Map<string, CheckState>();
    for (const key of this.#refused) states.set(key, "starting");
    for (const [key, { history }] of this.#running) states.set(key, history.state);
    return states;
  }

  /** What the check's latest probe found wrong; undefined when nothing, or before the first one. */
  faultOf(key: string): string | undefined {
    return this.#refused.has(key) ? tooMany : this.#running.get(key)?.fault;
  }

  /** Ends all checks and every probe under way, for good. */
  close(): void {
    this.#closed = true;
    for (const [key, running] of this.#running) this.#end(key, running);
    this.#refused.clear();
  }

  #begin(check: WantedCheck): void {
    const stop = new AbortController();
    const running = { check, history: unchecked, fault: undefined, stop, cancelNext: () => {} };
    this.#running.set(check.key, running);
    this.#due.add(running);
    this.#probeNext();
  }

  #end(key: string, running: RunningCheck): void {
    this.#running.delete(key);
    this.#due.delete(running);
    running.cancelNext();
    running.stop.abort();
  }

  #probeNext(): void {
    for (const running of this.#due) {
      if (this.#probing === mostProbes) return;
      this.#due.delete(running);
      this.#probing += 1;
      void this.#probe(running);
    }
  }

  async #probe(running: RunningCheck): Promise<void> {
    const { clock, random, probe } = this.#options;
    const begun = clock.now();
    const fault = await probeSafely(probe, running);
    this.#probing -= 1;
    if (!running.stop.signal.aborted) {
      this.#note(running, fault);
      const { history, check } = running;
      const wait = nextProbeMs(history, check.intervalMs, clock.now() - begun, random());
      running.cancelNext = clock.after(wait, () => {
        this.#due.add(running);
        this.#probeNext();
      });
    }
    this.#probeNext();
  }

  #note(running: RunningCheck, fault: string | undefined): void {
    const before = running.history.state;
    running.fault = fault;
    running.history = historyAfter(running.history, fault === undefined);
    if (running.history.state !== before) this.#options.onChange();
  }
}

/** A probe that breaks is a failed one: it must neither end the others nor keep its place for ever. */
async function probeSafely(probe: Probe, { check, stop }: RunningCheck): Promise<string | undefined> {
  try {
    return await probe(check, stop.signal);
  } catch (fault) {
    return `the check itself failed: ${describeFault(fault)}`;
  }
}
