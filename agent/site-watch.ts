import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { backoffMs, soon } from "./backoff.ts";
import { Bell, type Clock, inTime } from "./clock.ts";
import { Outage } from "./outage.ts";
import { isSameSite, type SiteAddresses } from "./site.ts";

export interface SiteWatchOptions {
  /** Whose addresses they are, for people: this host, or an engine's. */
  who: string;
  read(): Promise<SiteAddresses>;
  resyncMs: number;
  clock: Clock;
  random: () => number;
  log: Log;
  onChange(): void;
  /** Called after every look, well or not: it is the one that is missing when a loop stands still. */
  onProgress?(): void;
}

/** Longer than any look with limits of its own takes. */
const lookLimitMs = 30_000;

/** Keeps a machine's addresses, which change without any event of its engine: by DHCP, or where a name leads. */
export class SiteWatch {
  readonly #options: SiteWatchOptions;
  readonly #outage: Outage;
  readonly #bell = new Bell();
  readonly #closing = new AbortController();
  #current: SiteAddresses | undefined;
  #fault: string | undefined;
  #firstFault: string | undefined;

  constructor(options: SiteWatchOptions) {
    this.#options = options;
    this.#outage = new Outage(options.log, () => `${options.who} has an address again`);
  }

  /** The last good ones: a host that cannot tell its addresses cannot reach the resolver either. Undefined before the first. */
  get current(): SiteAddresses | undefined {
    return this.#current;
  }

  /** What the last look met; undefined when it was good, and before the first. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** What went wrong first since the last good look: for what is pushed, which must not change with each attempt. */
  get firstFault(): string | undefined {
    return this.#firstFault;
  }

  /** Resolves after `close`; a lookup under way then may end later, and changes nothing any more. */
  async run(): Promise<void> {
    const { clock, random, resyncMs } = this.#options;
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      const isRead = await this.#read();
      this.#options.onProgress?.();
      if (isRead) failures = 0;
      const waitMs = isRead ? resyncMs : backoffMs(soon, failures++, random());
      await this.#bell.wait(clock, waitMs, this.#closing.signal);
    }
  }

  /** Reads them now. */
  refresh(): void {
    this.#bell.ring();
  }

  close(): void {
    this.#closing.abort();
  }

  async #read(): Promise<boolean> {
    try {
      const found = await inTime(this.#options.clock, lookLimitMs, this.#options.read());
      if (this.#closing.signal.aborted) return true;
      if (found === "late") throw new Error(`its addresses could not be told within ${lookLimitMs / 1000} s`);
      this.#fault = this.#firstFault = undefined;
      this.#outage.end();
      this.#take(found);
      return true;
    } catch (fault) {
      if (this.#closing.signal.aborted) return false;
      const isNews = this.#current === undefined && this.#firstFault === undefined;
      this.#fault = describeFault(fault);
      this.#firstFault ??= this.#fault;
      this.#outage.begin("addresses", this.#fault);
      if (isNews) this.#options.onChange();
      return false;
    }
  }

  #take(found: SiteAddresses): void {
    const before = this.#current;
    this.#current = found;
    if (before !== undefined && isSameSite(before, found)) return;
    const behind = [...(found.arrivals ?? [])].map(([outer, own]) => `; ${outer} arrives at ${own}`).join("");
    this.#options.log.info(`${this.#options.who} advertises ${found.addresses.join(", ")}${behind}`);
    this.#options.onChange();
  }
}
