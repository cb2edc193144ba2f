import type { Declared, Problem } from "../shared/binding.ts";
import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Name } from "../shared/name.ts";
import { backoffMs, soon } from "./backoff.ts";
import { type Clock, sleep } from "./clock.ts";
import type { Engine } from "./engine/engine.ts";
import { declaredFrom } from "./engine/engine-view.ts";
import { EngineWatch } from "./engine/engine-watch.ts";
import { LeaseKeeper, type LeaseKeeperOptions } from "./lease/lease-keeper.ts";
import { Outage } from "./outage.ts";
import type { SiteAddresses } from "./site.ts";

export interface ReconcilerOptions {
  engine: Engine;
  resolver: Omit<LeaseKeeperOptions, "clock" | "random" | "log">;
  zone: Name;
  hostLabel: string;
  /** The host's addresses on the way to the resolver at `url`. */
  readAddresses(url: string): Promise<SiteAddresses>;
  engineGraceMs: number;
  resyncMs: number;
  clock: Clock;
  /** 0 to 1, for jitter. */
  random: () => number;
  log: Log;
}

/**
 * The agent's loops, and what joins them:
 *
 *   EngineWatch    what its containers are   \
 *   addresses      where the host is reached  > declaredFrom: the whole set -> LeaseKeeper: push, or renew
 *   grace timer    when that is too old      /
 *
 * Each of the three sources only says that something changed; the set is made anew from all of them every time.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #watch: EngineWatch;
  readonly #keeper: LeaseKeeper;
  readonly #closing = new AbortController();
  #addresses: SiteAddresses | undefined;
  #cancelGrace = (): void => {};
  #problems = new Set<string>();
  #notes = new Set<string>();

  constructor(options: ReconcilerOptions) {
    const { engine, clock, random, log } = options;
    this.#options = options;
    this.#keeper = new LeaseKeeper({ ...options.resolver, clock, random, log });
    const outage = new Outage(log, () => `the engine at ${engine.where} answers again`);
    const resyncMs = this.#resyncMs();
    const onView = (): void => this.#offer();
    this.#watch = new EngineWatch({ engine, clock, random, outage, resyncMs, onView });
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    this.#offer();
    // Not waited for at the end: a DNS lookup cannot be called off, and changes nothing any more.
    this.#readAddresses();
    await Promise.all([this.#watch.run(), this.#keeper.run()]);
  }

  /** Ends timers, the event stream and requests under way. Withdraws nothing: the lease carries the names. */
  close(): void {
    this.#closing.abort();
    this.#cancelGrace();
    this.#watch.close();
    this.#options.engine.close();
    this.#keeper.close();
  }

  #offer(): void {
    if (this.#closing.signal.aborted) return;
    const { clock, engineGraceMs } = this.#options;
    const now = clock.now();
    const { view } = this.#watch;
    this.#cancelGrace();
    const graceLeft = view.readAt + engineGraceMs - now;
    if (graceLeft > 0) this.#cancelGrace = clock.after(graceLeft, () => this.#offer());
    this.#keeper.offer(this.#declaredAt(now));
  }

  #declaredAt(now: number): Declared | undefined {
    const { zone, hostLabel, engineGraceMs } = this.#options;
    if (this.#addresses === undefined) return undefined;
    const site = { zone, hostLabel, ...this.#addresses };
    const found = declaredFrom(this.#watch.view, site, now, engineGraceMs);
    if (found !== undefined) this.#report(found.declared.problems, found.notes);
    return found?.declared;
  }

  /** DHCP gives a host new addresses without any event of the engine. */
  async #readAddresses(): Promise<void> {
    const { clock, log, random, readAddresses } = this.#options;
    const outage = new Outage(log, () => "this host has an address again");
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      let waitMs = this.#resyncMs();
      try {
        const addresses = await readAddresses(this.#keeper.resolverUrl);
        if (this.#closing.signal.aborted) return;
        failures = 0;
        outage.end();
        this.#takeAddresses(addresses);
      } catch (fault) {
        // The last good ones stay: a host that cannot tell its addresses cannot reach the resolver either.
        outage.begin("addresses", describeFault(fault));
        waitMs = backoffMs(soon, failures++, random());
      }
      await sleep(clock, waitMs, this.#closing.signal);
    }
  }

  #takeAddresses(addresses: SiteAddresses): void {
    const before = this.#addresses;
    this.#addresses = addresses;
    const shown = addresses.addresses.join(", ");
    if (before !== undefined && before.addresses.join(", ") === shown && before.local === addresses.local)
      return;
    this.#options.log.info(`this host advertises ${shown}`);
    this.#offer();
  }

  #report(problems: readonly Problem[], notes: readonly string[]): void {
    const { log } = this.#options;
    const lines = problems.map(({ container, message }) =>
      container === "" ? message : `${container}: ${message}`,
    );
    for (const line of lines) if (!this.#problems.has(line)) log.warn(line);
    for (const note of notes) if (!this.#notes.has(note)) log.debug(note);
    this.#problems = new Set(lines);
    this.#notes = new Set(notes);
  }

  /** Two looks within the grace, so that a quiet engine's reads never grow too old to be renewed. */
  #resyncMs(): number {
    return Math.min(this.#options.resyncMs, this.#options.engineGraceMs / 2);
  }
}
