import type { Log } from "../shared/log.ts";
import type { Clock } from "./clock.ts";
import type { Engine } from "./engine/engine.ts";
import type { KnownEngine } from "./engine/engine-standing.ts";
import { EngineWatch } from "./engine/engine-watch.ts";
import { Outage } from "./outage.ts";
import type { SiteAddresses } from "./site.ts";
import { SiteWatch } from "./site-watch.ts";

/** One engine of the host. */
export interface WatchedEngine {
  /** Unique on this host; people tell it from the others by it. */
  label: string;
  engine: Engine;
  /** Where its published ports are open; undefined: at this host's own addresses. */
  readSite: (() => Promise<SiteAddresses>) | undefined;
  /** It is on this machine. */
  isHere: boolean;
}

export interface EngineLoopOptions extends WatchedEngine {
  resyncMs: number;
  clock: Clock;
  random: () => number;
  log: Log;
  onChange(): void;
  onProgress(): void;
}

/** What one engine's containers are, and where its machine is reached. */
export class EngineLoop {
  readonly label: string;
  readonly engine: Engine;
  readonly watch: EngineWatch;
  readonly #site: SiteWatch | undefined;
  readonly #isHere: boolean;

  constructor(options: EngineLoopOptions) {
    const { label, engine, readSite: read, clock, random, log, resyncMs, onChange, onProgress } = options;
    const outage = new Outage(log, () => `the engine at ${engine.where} answers again`);
    this.label = label;
    this.engine = engine;
    this.#isHere = options.isHere;
    this.watch = new EngineWatch({
      engine,
      clock,
      random,
      outage,
      resyncMs,
      onView: onChange,
      onProgress,
    });
    const who = `the engine ${label}`;
    if (read !== undefined) this.#site = new SiteWatch({ who, read, resyncMs, clock, random, log, onChange });
  }

  /** Why nobody can tell where its ports are open, or not any more; undefined while that is known, and where they are open at this host. */
  get addressFault(): string | undefined {
    if (this.#site === undefined) return undefined;
    return this.#site.fault ?? (this.#site.current === undefined ? "they were not looked up yet" : undefined);
  }

  /** `hostSite` is undefined while the host does not know its own addresses, because of `hostFault`. */
  known(hostSite: SiteAddresses | undefined, hostFault: string | undefined): KnownEngine {
    const { label } = this;
    const { view } = this.watch;
    const isNear = this.#isHere && view.about?.rootless !== true;
    if (this.#site === undefined) return { label, view, isNear, site: hostSite, siteFault: hostFault };
    return { label, view, isNear, site: this.#site.current, siteFault: this.#site.firstFault };
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    // Not waited for at the end: a DNS lookup cannot be called off, and changes nothing any more.
    void this.#site?.run();
    await this.watch.run();
  }

  refresh(): void {
    this.#site?.refresh();
    this.watch.refresh();
  }

  close(): void {
    this.#site?.close();
    this.watch.close();
    this.engine.close();
  }
}
