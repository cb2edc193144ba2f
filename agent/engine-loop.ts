import type { Log } from "../shared/log.ts";
import type { Clock } from "./clock.ts";
import type { Engine } from "./engine/engine.ts";
import { EngineWatch } from "./engine/engine-watch.ts";
import type { KnownEngine } from "./engine/engines.ts";
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

  /** Undefined while nobody knows where its ports are open. */
  known(hostSite: SiteAddresses): KnownEngine | undefined {
    const site = this.#site === undefined ? hostSite : this.#site.current;
    if (site === undefined) return undefined;
    const { view } = this.watch;
    const isNear = this.#isHere && view.about?.rootless !== true;
    return { label: this.label, view, site, isNear };
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
