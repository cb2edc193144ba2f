import type { Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Clock } from "../clock.ts";
import type { CheckState, WantedCheck } from "../declare/input.ts";
import { problemOf } from "../problem.ts";
import { type CheckHistory, historyAfter, isOverdue, nextProbeMs, unchecked } from "./check-state.ts";

/**
 * Looks once whether the check's target serves. Resolves with what is wrong, or with undefined when nothing is, within the check's
 * time limit; `signal` ends it early.
 */
export type Probe = (check: WantedCheck, signal: AbortSignal) => Promise<string | undefined>;

export interface CheckBookOptions {
  clock: Clock;
  /** 0 to 1. */
  random: () => number;
  /** A check's state has changed, or it had its first answer. Never called from within `want` or `close`. */
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
const mostProbes = 64;
/** So that a container which takes connects and says nothing does not hold up the others' checks. */
const mostProbesPerContainer = 2;
const tooMany = `one agent runs at most ${mostChecks} checks, so some of it are not made`;
const countsAsHealthy = `${tooMany}, and what they would ask counts as healthy`;
const staysHidden = `${tooMany}, and it is not declared where nobody has seen it serve; ask for fewer checks on this host`;
const neverAnswered =
  "its check has had no good answer since it started, so it stays hidden; berth explain says what the check gets";

/** The agent's own health checks: keeps the wanted ones running, and says what they found. */
export class CheckBook {
  readonly #options: CheckBookOptions;
  readonly #running = new Map<string, RunningCheck>();
  /** Wanted, but one too many. */
  #refused = new Map<string, WantedCheck>();
  /** Waiting for one of the probes under way to end. */
  readonly #due = new Set<RunningCheck>();
  readonly #probing = new Map<string, number>();
  #closed = false;

  constructor(options: CheckBookOptions) {
    this.#options = options;
  }

  /** The whole set of checks to run from now on: new ones begin at once, those that are not in it end, the others are not disturbed. */
  want(checks: readonly WantedCheck[]): void {
    if (this.#closed) return;
    const wanted = new Map(checks.map((check) => [check.key, check]));
    for (const [key, running] of this.#running) if (!wanted.has(key)) this.#end(key, running);
    const shared = sharedOut([...wanted.values()]);
    const refused = shared.slice(mostChecks);
    this.#refused = new Map(refused.map((check) => [check.key, check]));
    for (const { key } of refused) {
      const running = this.#running.get(key);
      if (running !== undefined) this.#end(key, running);
    }
    for (const check of shared.slice(0, mostChecks)) {
      const running = this.#running.get(check.key);
      if (running === undefined) this.#begin(check);
      // Whom it is for may be called otherwise by now.
      else running.check = check;
    }
  }

  /** Whether every check has had an answer, good or not. */
  get areAnswered(): boolean {
    return [...this.#running.values()].every(({ history }) => history !== unchecked);
  }

  /** What people have to mend, in words that do not change from probe to probe. */
  get problems(): Problem[] {
    const refused = new Map([...this.#refused.values()].map((check) => [check.container, refusalOf(check)]));
    const running = [...this.#running.values()];
    const hidden = new Set(
      running.filter(({ history }) => isOverdue(history)).map(({ check }) => check.container),
    );
    // One port, or address, that serves is shown.
    for (const { check, history } of running) if (history.state === "healthy") hidden.delete(check.container);
    return [
      ...[...refused].map(([container, message]) => problemOf(container, "too-many", message)),
      ...[...hidden].map((container) => problemOf(container, "check-fails", neverAnswered)),
    ];
  }

  /**
   * Of every wanted check, by key. One too many counts as healthy: its engine says that the container runs, and hiding it would help nobody.
   * Where the check alone could tell, it counts as `starting`.
   */
  states(): ReadonlyMap<string, CheckState> {
    const states = new Map<string, CheckState>();
    for (const [key, { isOnlyWitness }] of this.#refused)
      states.set(key, isOnlyWitness ? "starting" : "healthy");
    for (const [key, { history }] of this.#running) states.set(key, history.state);
    return states;
  }

  /** What the check's latest probe found wrong; undefined when nothing, or before the first one. */
  faultOf(key: string): string | undefined {
    const refused = this.#refused.get(key);
    return refused === undefined ? this.#running.get(key)?.fault : refusalOf(refused);
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
    let all = [...this.#probing.values()].reduce((sum, count) => sum + count, 0);
    for (const running of this.#due) {
      if (all >= mostProbes) return;
      const { container } = running.check;
      const own = this.#probing.get(container) ?? 0;
      if (own >= mostProbesPerContainer) continue;
      this.#due.delete(running);
      this.#probing.set(container, own + 1);
      all += 1;
      void this.#probe(running);
    }
  }

  #probed({ check: { container } }: RunningCheck): void {
    const left = (this.#probing.get(container) ?? 1) - 1;
    if (left === 0) this.#probing.delete(container);
    else this.#probing.set(container, left);
  }

  async #probe(running: RunningCheck): Promise<void> {
    const { clock, random, probe } = this.#options;
    const begun = clock.now();
    const fault = await probeSafely(probe, running);
    this.#probed(running);
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
    const before = running.history;
    running.fault = fault;
    running.history = historyAfter(before, fault === undefined);
    const { history } = running;
    const isNews = before === unchecked || isOverdue(history) !== isOverdue(before);
    if (isNews || history.state !== before.state) this.#options.onChange();
  }
}

function refusalOf({ isOnlyWitness }: WantedCheck): string {
  return isOnlyWitness ? staysHidden : countsAsHealthy;
}

/** Each container's first check before any container's second: none uses up what all of them may have. */
function sharedOut(checks: readonly WantedCheck[]): WantedCheck[] {
  const counts = new Map<string, number>();
  const ranked = checks.map((check) => {
    const rank = counts.get(check.container) ?? 0;
    counts.set(check.container, rank + 1);
    return { check, rank };
  });
  return ranked.toSorted((left, right) => left.rank - right.rank).map(({ check }) => check);
}

/** A probe that breaks is a failed one: it must neither end the others nor keep its place for ever. */
async function probeSafely(probe: Probe, { check, stop }: RunningCheck): Promise<string | undefined> {
  try {
    return await probe(check, stop.signal);
  } catch (fault) {
    return `the check itself failed: ${describeFault(fault)}`;
  }
}
