import { setTimeout as pause } from "node:timers/promises";

import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";

export interface PulseParts {
  /** One linearizable read, which only a cluster with a leader answers. */
  read: () => Promise<unknown>;
  /** Called when etcd answers again after it did not. */
  onReturn: () => void;
  everyMs: number;
  /** A clock that does not step, in milliseconds. */
  now: () => number;
  log: Log;
  signal: AbortSignal;
}

/** Whether etcd answers: so that answers from memory are marked stale, and writes are refused at once, while it does not. */
export class Pulse {
  readonly #parts: PulseParts;
  #isAway = false;
  #answeredAt: number;

  constructor(parts: PulseParts) {
    this.#parts = parts;
    this.#answeredAt = parts.now();
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** Milliseconds since etcd last answered. */
  get silentMs(): number {
    return this.#parts.now() - this.#answeredAt;
  }

  /** Reads in turns until the signal aborts. */
  async run(): Promise<void> {
    const { everyMs, signal } = this.#parts;
    while (!signal.aborted) {
      await this.look();
      await pause(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async look(): Promise<void> {
    const { read, onReturn, now, log, signal } = this.#parts;
    try {
      await read();
      this.#answeredAt = now();
      if (!this.#isAway) return;
      this.#isAway = false;
      log.info("etcd answers again");
      onReturn();
    } catch (fault) {
      if (signal.aborted) return;
      if (!this.#isAway)
        log.error(`etcd does not answer, so names are answered from memory: ${describeFault(fault)}`);
      this.#isAway = true;
    }
  }
}
