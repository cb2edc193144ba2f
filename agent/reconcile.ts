import type { Declared } from "../shared/binding.ts";
import type { Log } from "../shared/log.ts";
import type { Clock } from "./clock.ts";
import { declare } from "./declare/declare.ts";
import { explain } from "./declare/explain.ts";
import type { DeclareInput, DeclareOutcome, DeclareRules } from "./declare/input.ts";
import { problemsWithinLimits } from "./declare/limits.ts";
import { DeclaredNews } from "./declared-news.ts";
import type { KnownEngine } from "./engine/engine-standing.ts";
import { joinEngines, msToNextChange } from "./engine/engines.ts";
import type { ContainerFacts } from "./engine/facts.ts";
import { LongDraining } from "./engine/long-draining.ts";
import { untoldOf } from "./engine/untold.ts";
import { EngineLoop, type WatchedEngine } from "./engine-loop.ts";
import { explainInput } from "./explain-input.ts";
import type { CheckBook } from "./health/check-book.ts";
import { checkedHealthOf } from "./health/checked-health.ts";
import { Damping } from "./health/damping.ts";
import { LeaseKeeper, type LeaseKeeperOptions } from "./lease/lease-keeper.ts";
import { lastingRuns } from "./relay/lasting-runs.ts";
import type { RelayBook } from "./relay/relay-book.ts";
import { ServiceLoop, type ServiceReader } from "./service-loop.ts";
import type { SiteAddresses } from "./site.ts";
import { SiteWatch } from "./site-watch.ts";
import { wholeSet } from "./whole-set.ts";

/** How long the end of the agent waits for the registry to forget what this process itself relays. */
const farewellMs = 3_000;
/** How long the first push of a process waits for its relays, and for the first answers of its checks: a restart must not hide what serves. */
const firstAnswersMs = 4_000;
/** The keeper rests 15 s at most, and reads a token and waits for an answer with limits of their own. */
const leaseBoundMs = 45_000;
/** Files of services are looked at every 10 s, and read within 30 s. */
const servicesBoundMs = 45_000;
/** Beyond a resync: a list and an inspection may each take their whole time limit of 10 s, and be tried again after as long. */
const engineSlackMs = 45_000;

export interface ReconcilerOptions {
  engines: readonly WatchedEngine[];
  services: ServiceReader;
  rules: DeclareRules;
  resolver: Omit<LeaseKeeperOptions, "clock" | "random" | "log" | "onProgress">;
  /** The books of relays and of checks, which call back, never at once, when one of theirs has changed. */
  openRelays(onChange: () => void): RelayBook;
  openChecks(onChange: () => void): CheckBook;
  /** The host's addresses on the way to the resolver at `url`. */
  readAddresses(url: string): Promise<SiteAddresses>;
  engineGraceMs: number;
  resyncMs: number;
  clock: Clock;
  /** 0 to 1, for jitter. */
  random: () => number;
  log: Log;
  /** Called at every step of a loop, `lease`, `addresses`, `services` or `engine LABEL`, which will be heard of again within `ms`. */
  onProgress(loop: string, ms: number): void;
}

/** What was declared last, and of what. */
export interface LastDeclared {
  declared: Declared;
  input: DeclareInput;
  outcome: DeclareOutcome;
}

/**
 * The agent's loops, and what joins them:
 *
 *   EngineLoop, one per engine  what its containers are  \
 *   SiteWatch                   where they are reached    \
 *   ServiceLoop                 what no engine reports     > declare: the whole set -> LeaseKeeper: push, or renew
 *   RelayBook, CheckBook        what declare asked for    /
 *   a timer                     when that is too old     /
 *
 * Each source only says that something changed; the set is made anew from all of them every time.
 */
export class Reconciler {
  readonly engines: readonly EngineLoop[];
  readonly relays: RelayBook;
  readonly checks: CheckBook;
  readonly keeper: LeaseKeeper;
  readonly #options: ReconcilerOptions;
  readonly #startedAt: number;
  readonly #site: SiteWatch;
  readonly #services: ServiceLoop;
  readonly #damping = new Damping();
  readonly #longDraining = new LongDraining();
  readonly #news: DeclaredNews;
  #cancelNext = (): void => {};
  #cancelAsked: (() => void) | undefined;
  #isLeaving = false;
  #isClosed = false;
  #last: LastDeclared | undefined;
  /** Until when the first push may wait; undefined once it does not any more. */
  #answersBy: number | undefined = Number.POSITIVE_INFINITY;

  constructor(options: ReconcilerOptions) {
    const { clock, random, log, onProgress } = options;
    const resyncMs = resyncWithin(options);
    const onChange = (): void => this.#offer();
    this.#options = options;
    this.#startedAt = clock.now();
    this.#news = new DeclaredNews(log);
    this.keeper = new LeaseKeeper({
      ...options.resolver,
      clock,
      random,
      log,
      onProgress: () => onProgress("lease", leaseBoundMs),
    });
    const read = () => options.readAddresses(this.keeper.resolverUrl);
    const siteOptions = { who: "this host", read, resyncMs, clock, random, log, onChange };
    const onLook = (): void => onProgress("addresses", resyncMs + engineSlackMs);
    this.#site = new SiteWatch({ ...siteOptions, onProgress: onLook });
    this.#services = new ServiceLoop(options.services, onChange, () =>
      onProgress("services", servicesBoundMs),
    );
    this.engines = options.engines.map((watched) => {
      const onOwnProgress = (): void => onProgress(`engine ${watched.label}`, resyncMs + engineSlackMs);
      return new EngineLoop({
        ...watched,
        resyncMs,
        clock,
        random,
        log,
        onChange,
        onProgress: onOwnProgress,
      });
    });
    this.relays = options.openRelays(() => this.#ask());
    this.checks = options.openChecks(() => this.#ask());
  }

  /** Undefined before anything could be declared. */
  get last(): LastDeclared | undefined {
    return this.#last;
  }

  /** Why this host does not know its own address; undefined while it does. */
  get addressFault(): string | undefined {
    return this.#site.fault;
  }

  get services(): ServiceLoop {
    return this.#services;
  }

  /** Why a container, or who has a name, is declared as it is or is not; undefined when nothing here is called that. */
  explain(what: string): string[] | undefined {
    const { rules, engineGraceMs: graceMs, clock } = this.#options;
    const moment = {
      several: this.engines.length > 1,
      now: clock.now(),
      graceMs,
      startedAt: this.#startedAt,
    };
    const last = this.#last;
    const declaredOf = last && new Set(last.input.containers.map(({ container }) => container.id));
    const untold = untoldOf(this.#known(), moment, declaredOf);
    const faultOf = (key: string): string | undefined => this.checks.faultOf(key);
    const { refused } = this.keeper.state;
    const serviceProblems = this.#services.current?.problems ?? [];
    return explain(explainInput({ last, untold, serviceProblems, faultOf, refused }), rules, what);
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    this.#offer();
    // Not waited for at the end: a DNS lookup cannot be called off, and changes nothing any more.
    void this.#site.run();
    await Promise.all([this.#services.run(), ...this.engines.map((loop) => loop.run()), this.keeper.run()]);
  }

  /** Reads everything anew: engines, addresses, files of services. */
  async refresh(): Promise<void> {
    this.#site.refresh();
    for (const loop of this.engines) loop.refresh();
    await this.#services.refresh();
  }

  /**
   * Ends timers, event streams and requests under way. Withdraws nothing, because the lease carries the names over a restart; only ports that
   * this process itself relays end with it, so those are taken back first, if the registry answers within a few seconds.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#last?.outcome.relays.length) {
      this.#isLeaving = true;
      this.#offer();
      await this.keeper.flush(farewellMs);
    }
    this.#isClosed = true;
    this.#cancelNext();
    this.#cancelAsked?.();
    this.#site.close();
    this.#services.close();
    for (const loop of this.engines) loop.close();
    this.checks.close();
    this.keeper.close();
    await this.relays.close();
  }

  /** Soon: many relays and checks change at once. */
  #ask(): void {
    this.#cancelAsked ??= this.#options.clock.after(0, () => this.#offer());
  }

  #offer(): void {
    if (this.#isClosed) return;
    const { clock, engineGraceMs } = this.#options;
    this.#cancelAsked?.();
    this.#cancelAsked = undefined;
    this.#cancelNext();
    const now = clock.now();
    const site = this.#site.current;
    const known = this.#known();
    const nextMs = msToNextChange(known, now, engineGraceMs, this.#startedAt);
    const { declared, steadyAt } = this.#declaredAt(site, known, now);
    const answersBy = declared === undefined ? undefined : this.#waitForAnswers(now);
    const waitMs = Math.min(nextMs, steadyAt - now, (answersBy ?? Number.POSITIVE_INFINITY) - now);
    if (Number.isFinite(waitMs)) this.#cancelNext = clock.after(Math.max(0, waitMs), () => this.#offer());
    this.keeper.offer(answersBy === undefined ? declared : undefined);
  }

  /** Until when, or undefined when nothing need be waited for. What was declared by the process before stands meanwhile, by its lease. */
  #waitForAnswers(now: number): number | undefined {
    if (this.#answersBy === undefined) return undefined;
    if (this.#answersBy === Number.POSITIVE_INFINITY) this.#answersBy = now + firstAnswersMs;
    const areSettled = this.checks.areAnswered && this.relays.areSettled;
    if (now < this.#answersBy && !areSettled) return this.#answersBy;
    this.#answersBy = undefined;
    return undefined;
  }

  #declaredAt(
    site: SiteAddresses | undefined,
    known: readonly KnownEngine[],
    now: number,
  ): { declared: Declared | undefined; steadyAt: number } {
    const services = this.#services.current;
    const joined = joinEngines(known, now, this.#options.engineGraceMs, this.#startedAt);
    if (site === undefined || services === undefined || joined === undefined)
      return { declared: undefined, steadyAt: Number.POSITIVE_INFINITY };
    const checkedHealth = checkedHealthOf(this.#last?.outcome.checks ?? [], this.checks.states());
    const damped = this.#damping.see(joined.containers, now, checkedHealth);
    const input: DeclareInput = {
      containers: joined.containers,
      services: services.services,
      site,
      relays: this.#isLeaving ? new Map() : this.relays.states(),
      checks: this.checks.states(),
      flapping: damped.flapping,
    };
    const outcome = declare(input, this.#options.rules);
    if (!this.#isLeaving) {
      this.relays.want(outcome.relays, lastingRuns(this.engines.map(({ watch }) => watch.view.read)));
      this.checks.want(outcome.checks);
    }
    const problems = [
      ...[...joined.problems, ...services.problems, ...damped.problems, ...outcome.problems],
      ...[...this.checks.problems, ...this.#longDraining.see(this.#draining(), now)],
    ];
    const declared = wholeSet(site, this.#options.rules, outcome.bindings, problemsWithinLimits(problems));
    this.#news.read(declared.problems, outcome.notes);
    this.#last = { declared, input, outcome };
    return { declared, steadyAt: damped.nextAt };
  }

  #draining(): ContainerFacts[] {
    return this.engines.flatMap(({ watch }) => watch.view.read?.draining ?? []);
  }

  /** Every engine the operator named, also one whose address nobody knows. */
  #known(): KnownEngine[] {
    return this.engines.map((loop) => loop.known(this.#site.current, this.#site.firstFault));
  }
}

/** Two looks within the grace, so that a quiet engine's reads never grow too old to be renewed. */
function resyncWithin({ resyncMs, engineGraceMs }: ReconcilerOptions): number {
  return Math.min(resyncMs, engineGraceMs / 2);
}
