import { heartbeatSeconds } from "../shared/changes.ts";
import type { ChangeEvents, FeedEvent, Position, Timers } from "./change-events.ts";
import type { ChangeLog } from "./change-log.ts";

export interface ChangeFeedParts {
  changes: ChangeLog;
  events: ChangeEvents;
  timers: Timers;
}

export interface FeedOptions {
  /** What the reader knows when there is no event for it yet. */
  from: Position;
  first: FeedEvent | undefined;
  /** Aborts when the reader may read no more. */
  ends: AbortSignal | undefined;
  onClose: () => void;
}

/** Handed over at a time: the rest of a long event waits here, where all its readers share it. */
const sliceLength = 65_536;
/** A reader that takes nothing for so long is gone, or will never catch up. */
const stalledMs = 60_000;
/** Between two events: what changes meanwhile comes with the second. */
const restMs = 100;
const heartbeat = new TextEncoder().encode(":\n\n");

/**
 * The events of one reader, made when it asks for more: of a slow one nothing piles up but the names that changed. Ends when the
 * reader has gone, took nothing for a minute, or may read no more, and when the registry cannot be read: it comes back and goes on.
 */
export function openFeed(parts: ChangeFeedParts, options: FeedOptions): ReadableStream<Uint8Array> {
  const feed = new Feed(parts, options);
  // Nothing ahead of the reader: what lies ready could be out of date when it is read.
  const queue = { highWaterMark: 0 };
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => feed.start(controller),
      pull: () => feed.pull(),
      cancel: () => feed.close(),
    },
    queue,
  );
}

class Feed {
  readonly #parts: ChangeFeedParts;
  readonly #options: FeedOptions;
  readonly #unsubscribe: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #position: Position;
  #unsent: Uint8Array;
  #isClosed = false;
  #wake = (): void => undefined;
  #stopWatch = (): void => undefined;
  #rest: Promise<void> = Promise.resolve();

  constructor(parts: ChangeFeedParts, options: FeedOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#position = options.first?.after ?? options.from;
    // A reader that knows everything is told at once that it is connected; proxies hold a reply back until its first octet.
    this.#unsent = options.first?.bytes ?? heartbeat;
    this.#unsubscribe = parts.changes.subscribe(() => this.#wake());
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#watchReader();
    this.#options.ends?.addEventListener("abort", this.#end);
    if (this.#options.ends?.aborted) this.#end();
  }

  /** Called when the reader wants more; resolves when it got some. */
  async pull(): Promise<void> {
    this.#stopWatch();
    try {
      while (this.#unsent.length === 0 && !this.#isClosed) await this.#makeMore();
      this.#sendSlice();
    } catch {
      // The fault is in the log already.
      this.#end();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWatch();
    this.#unsubscribe();
    this.#options.ends?.removeEventListener("abort", this.#end);
    this.#options.onClose();
    this.#wake();
  }

  readonly #end = (): void => {
    if (this.#isClosed) return;
    this.close();
    this.#controller?.close();
  };

  /** The next event, or a heartbeat when it is time for one. */
  async #makeMore(): Promise<void> {
    await this.#rest;
    // Before looking, so that no change falls between the look and the wait.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const event = this.#isClosed ? undefined : await this.#parts.events.next(this.#position);
    if (this.#isClosed) return;
    if (event !== undefined) return this.#take(event);
    const stop = this.#parts.timers.after(heartbeatSeconds * 1000, () => {
      this.#unsent = heartbeat;
      resolve();
    });
    await promise;
    stop();
  }

  #take(event: FeedEvent): void {
    this.#position = event.after;
    this.#unsent = event.bytes;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#rest = promise;
    this.#parts.timers.after(restMs, resolve);
  }

  #sendSlice(): void {
    if (this.#isClosed) return;
    const slice = this.#unsent.subarray(0, sliceLength);
    this.#unsent = this.#unsent.subarray(sliceLength);
    this.#controller?.enqueue(slice);
    this.#watchReader();
  }

  #watchReader(): void {
    this.#stopWatch = this.#parts.timers.after(stalledMs, this.#end);
  }
}
