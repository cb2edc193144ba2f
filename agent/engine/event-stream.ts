import type { Readable } from "node:stream";

import type { Watch } from "./engine.ts";
import { LineSplitter, timeIn } from "./event-lines.ts";

/** An engine remembers its last 256 events; what a proxy makes up beyond that is not waited for. */
const maxHeld = 1_000;
/** A line longer than this is no landmark. */
const maxLandmark = 64 * 1024;

export interface EventStreamOptions {
  /** Opens the engine's stream, of what happens from now on, or since that moment of its own clock. `ending` ends it. */
  open(ending: AbortController, since: string | undefined): Promise<Readable>;
  onLine(line: string): void;
  /** The stream was cut and taken up again. No event was lost. */
  onResumed(): void;
  /** The stream has ended, and nothing showed that the engine lives on. Called at most once, and not after `close`. */
  onBroken(cause: unknown): void;
  /** Whether the engine forgets its events when it ends, so that what it remembers tells its lives apart. */
  isForgetful(): boolean;
  /** How long an engine whose stream was cut has to show that it lives: so long its ports may be declared that are others' already. */
  resumeMs: number;
  /** A stream that is cut sooner than this counts as ended: something cuts them all, and taking them up again would go round and round. */
  calmMs: number;
}

interface Attempt {
  ending: AbortController;
  openedAt: number;
  /** While it is open whether this is the engine of before. */
  proof: { landmark: string; held: string[]; settle(isSame: boolean): void } | undefined;
}

/**
 * An engine's events, as one stream over the cuts that proxies, ssh and networks make in it. A cut is told from the engine's end by the
 * events themselves: Docker keeps its last ones in its memory and nowhere else. So the new stream is asked for from the last event heard
 * (the landmark) on, and an engine that still has that one is the very process that told it. Then everything since follows in the same
 * stream, and no moment was unwatched. Whoever answers without it, even if at once, may be a new process that has given the old one's
 * ports to others.
 */
export class EventStream implements Watch {
  readonly #options: EventStreamOptions;
  #attempt: Attempt | undefined;
  #landmark: string | undefined;
  #isClosed = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Resolves once the engine has taken the subscription. */
  async open(): Promise<void> {
    await this.#open(undefined, undefined);
  }

  /** An event that the engine of this stream certainly told; one heard in the stream itself is better. */
  offerLandmark(line: string): void {
    this.#landmark ??= landmarkOf(line);
  }

  close(): void {
    this.#isClosed = true;
    this.#attempt?.ending.abort();
  }

  async #open(since: string | undefined, proof: Attempt["proof"]): Promise<void> {
    const attempt = { ending: new AbortController(), openedAt: performance.now(), proof };
    this.#attempt = attempt;
    const stream = await this.#options.open(attempt.ending, since);
    const lines = new LineSplitter((line) => this.#take(attempt, line));
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => lines.take(chunk));
    let cause: unknown;
    stream.on("error", (fault) => {
      cause = fault;
    });
    // Docker never ends a stream in order: `error` comes first or not at all, `close` always.
    stream.on("close", () => {
      if (attempt.proof !== undefined) attempt.proof.settle(false);
      else if (!attempt.ending.signal.aborted) void this.#mend(attempt, cause);
    });
  }

  #take(attempt: Attempt, line: string): void {
    if (attempt.ending.signal.aborted) return;
    const { proof } = attempt;
    if (proof === undefined) {
      this.#landmark = landmarkOf(line) ?? this.#landmark;
      this.#options.onLine(line);
      return;
    }
    if (line !== proof.landmark) {
      if (proof.held.push(line) > maxHeld) proof.settle(false);
      return;
    }
    attempt.proof = undefined;
    proof.settle(true);
    for (const held of proof.held) this.#take(attempt, held);
  }

  async #mend({ openedAt }: Attempt, cause: unknown): Promise<void> {
    const isCalm = performance.now() - openedAt >= this.#options.calmMs;
    const isResumed = isCalm && this.#options.isForgetful() && (await this.#resume());
    if (this.#isClosed) return;
    if (isResumed) this.#options.onResumed();
    else {
      this.close();
      this.#options.onBroken(cause);
    }
  }

  async #resume(): Promise<boolean> {
    const landmark = this.#landmark;
    if (landmark === undefined) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), this.#options.resumeMs);
    this.#open(timeIn(landmark), { landmark, held: [], settle: resolve }).catch(() => resolve(false));
    return promise.finally(() => clearTimeout(timer));
  }
}

function landmarkOf(line: string): string | undefined {
  return line.length <= maxLandmark && timeIn(line) !== undefined ? line : undefined;
}
