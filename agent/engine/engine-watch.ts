import { BerthError, describeFault } from "../../shared/errors.ts";
import { backoffMs, soon } from "../backoff.ts";
import { Bell, type Clock, sleep } from "../clock.ts";
import type { Outage } from "../outage.ts";
import { ContainerReader } from "./container-reader.ts";
import type { Engine, EngineAbout } from "./engine.ts";
import {
  afterFault,
  afterLook,
  afterRead,
  afterReconnect,
  type EngineRead,
  type EngineView,
  firstView,
  readFrom,
} from "./engine-view.ts";
import type { EngineEvent } from "./event-lines.ts";
import { meaningOf } from "./event-meaning.ts";
import { type Hinted, Hints } from "./hints.ts";
import { Inventory, type ReadOrder } from "./inventory.ts";
import { Looks } from "./looks.ts";
import { newestAbout } from "./newest-about.ts";
import { Pace } from "./pace.ts";
import { Stops } from "./stops.ts";

/** Hints at no container merge: the first runs a pass at once, the next this long after the one before has ended. */
const spacingMs = 50;
/**
 * Docker answers an event request a moment before it subscribes, so a first pass can miss what happens in between; and what was looked at
 * alone is held against a list this soon.
 */
const settleMs = 1_000;
/** Past this many containers to look at one by one, all are looked at: an engine may send events faster than it answers. */
const maxHints = 4096;

export interface EngineWatchOptions {
  engine: Engine;
  clock: Clock;
  outage: Outage;
  random: () => number;
  resyncMs: number;
  /** Called whenever more, or less, can be said about the engine's containers; at once when the engine's process ends. */
  onView(view: EngineView): void;
  /** Called at every step that has ended, well or not: a watch that never calls it for long hangs. */
  onProgress?(): void;
}

/** Since the watch began. */
export interface EngineCounters {
  passes: number;
  events: number;
  inspects: number;
  faults: number;
  /** By the clock; undefined before the first good list. */
  lastReadAt: number | undefined;
}

/**
 * Watches one engine for good:
 *
 *   subscribe -> (pass -> wait for a hint, a list that is due, or the resync) ... -> the stream breaks -> back off -> subscribe
 *
 * An event that names its container has that one inspected and shown at once, beside the passes; a list follows within a second. A pass
 * that fails is tried again on the same stream: a silent engine keeps it open, and its end is how we learn that the engine died.
 */
export class EngineWatch {
  readonly #options: EngineWatchOptions;
  readonly #reader: ContainerReader;
  readonly #inventory: Inventory;
  readonly #looks = new Looks((id) => this.#look(id));
  readonly #pace: Pace;
  readonly #stops = new Stops();
  readonly #closing = new AbortController();
  readonly #bell = new Bell();
  /** What could not be looked at alone. */
  readonly #hints = new Hints();
  #isReading = false;
  #cancelList: (() => void) | undefined;
  #thoroughAt = -Infinity;
  #stream = AbortSignal.abort();
  #view: EngineView;
  #failures = 0;
  #counts = { passes: 0, events: 0, faults: 0 };

  constructor(options: EngineWatchOptions) {
    const { engine, clock } = options;
    this.#options = options;
    this.#reader = new ContainerReader(engine, () => options.onProgress?.());
    this.#inventory = new Inventory(engine, this.#reader);
    this.#pace = new Pace(clock, () => this.#setView(afterLook(this.#view, this.#known())));
    this.#view = firstView(clock.now());
  }

  get view(): EngineView {
    return this.#view;
  }

  get counters(): EngineCounters {
    const lastReadAt = this.#view.read === undefined ? undefined : this.#view.readAt;
    return { ...this.#counts, inspects: this.#reader.inspects, lastReadAt };
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

  /** Has everything read again, whatever is known. */
  refresh(): void {
    this.#hints.addAll();
    this.#bell.ring();
  }

  close(): void {
    this.#closing.abort();
  }

  async #watchStream(): Promise<void> {
    const { engine, clock } = this.#options;
    /** Aborted when the stream breaks or the agent closes. */
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const onBroken = (fault: Error): void => {
      end();
      // Here and not after the pass under way, which may hang on the dead engine for its whole time limit.
      this.#fail(fault);
    };
    const stream = await engine.watchEvents((event) => this.#take(event), onBroken);
    this.#closing.signal.addEventListener("abort", end);
    try {
      this.#inventory.forget();
      this.#stream = ended.signal;
      this.#setView(afterReconnect(this.#view, clock.now()));
      const about = await newestAbout(engine, this.#view.about);
      if (!this.#closing.signal.aborted) await this.#passes(about, ended.signal);
    } finally {
      end();
      stream.close();
      this.#looks.clear();
      this.#pace.settle();
      this.#cancelList?.();
      this.#cancelList = undefined;
      this.#closing.signal.removeEventListener("abort", end);
    }
  }

  /** Runs passes until `ended`. */
  async #passes(about: () => EngineAbout, ended: AbortSignal): Promise<void> {
    const { clock, resyncMs } = this.#options;
    let untilNext = Math.min(settleMs, resyncMs);
    while (!ended.aborted) {
      if (await this.#pass(about(), ended)) {
        await sleep(clock, spacingMs, ended);
        await this.#bell.wait(clock, untilNext, ended);
        untilNext = resyncMs;
      } else {
        await sleep(clock, this.#backoff(), ended);
      }
    }
  }

  async #pass(about: EngineAbout, ended: AbortSignal): Promise<boolean> {
    const { clock, outage, resyncMs, onProgress } = this.#options;
    const hinted = this.#hints.take();
    this.#cancelList?.();
    this.#cancelList = undefined;
    this.#isReading = true;
    const readAt = clock.now();
    this.#reader.isPodman = about.kind === "podman";
    const isThorough = readAt - this.#thoroughAt >= resyncMs;
    try {
      await this.#inventory.read(this.#order(hinted, isThorough), readAt);
      // What was read before the engine ended says nothing about now.
      if (ended.aborted) return false;
      this.#failures = 0;
      this.#counts.passes += 1;
      if (isThorough) this.#thoroughAt = readAt;
      outage.end();
      this.#stops.keepOnly(this.#inventory.ids);
      this.#pace.settle();
      this.#setView(afterRead(this.#known(), readAt, about));
      onProgress?.();
      return true;
    } catch (fault) {
      if (ended.aborted) return false;
      this.#hints.giveBack(hinted);
      this.#fail(fault);
      return false;
    } finally {
      this.#isReading = false;
    }
  }

  /** Once in a resync also what the list does not tell, and the events that do can be lost: Podman's health, a new run of what was told to stop or is in another's network. */
  #order({ ids, all }: Hinted, isThorough: boolean): ReadOrder {
    const health = isThorough && this.#reader.isPodman;
    const draining = isThorough ? this.#known().draining.map(({ id }) => id) : [];
    return { hinted: new Set([...ids, ...draining]), all, health, guests: isThorough };
  }

  #take(event: EngineEvent): void {
    if (event.kind === "nothing") return;
    this.#counts.events += 1;
    const { id } = event;
    const isAsked = id !== undefined && (this.#looks.has(id) || this.#hints.has(id));
    const isSettled = this.#isCurrent() && !this.#isReading && !isAsked;
    const facts = id === undefined ? undefined : this.#inventory.factsOf(id);
    const meaning = meaningOf(event, { kind: this.#view.about?.kind, facts, isSettled }, this.#stops);
    if (meaning === "nothing") return;
    if (meaning !== "draining") this.#hint(id);
    else if (this.#isCurrent()) this.#pace.changed();
    if (meaning !== "look-twice" || id === undefined || this.#hints.size >= maxHints) return;
    this.#hints.add(id);
    this.#listSoon();
  }

  #hint(id: string | undefined): void {
    if (id !== undefined && !this.#hints.all) {
      if (this.#looks.size + this.#hints.size >= maxHints) {
        this.#looks.clear();
        this.#hints.addAll();
      } else if (this.#isCurrent()) {
        this.#looks.ask(id);
        return;
      } else {
        this.#hints.add(id);
      }
    }
    this.#bell.ring();
  }

  async #look(id: string): Promise<void> {
    const stream = this.#stream;
    try {
      const isChanged = await this.#inventory.look(id);
      if (stream.aborted || !isChanged) return;
      this.#listSoon();
      if (this.#isCurrent()) this.#pace.changed();
    } catch {
      // A pass meets the same fault, and can tell a container that hangs from an engine that does.
      if (stream.aborted) return;
      this.#hints.add(id);
      this.#bell.ring();
    }
  }

  #listSoon(): void {
    this.#cancelList ??= this.#options.clock.after(settleMs, () => this.#bell.ring());
  }

  /** Whether single looks may be shown: the rest of what is known was read in this life of the engine. */
  #isCurrent(): boolean {
    const { read, gone, unreadSince } = this.#view;
    return !this.#stream.aborted && read !== undefined && !gone && unreadSince === undefined;
  }

  #known(): EngineRead {
    const { containers, problems } = this.#inventory;
    return readFrom(containers, problems, this.#stops);
  }

  #fail(fault: unknown): void {
    if (this.#closing.signal.aborted) return;
    const error = fault instanceof Error ? fault : new Error(String(fault));
    const gone = error instanceof BerthError && error.facts.gone === true;
    this.#counts.faults += 1;
    this.#options.outage.begin("engine", describeFault(error));
    this.#setView(afterFault(this.#view, error, gone));
    this.#options.onProgress?.();
  }

  #setView(view: EngineView): void {
    this.#view = view;
    this.#options.onView(view);
  }

  #backoff(): number {
    return backoffMs(soon, this.#failures++, this.#options.random());
  }
}
