import { setTimeout as pause } from "node:timers/promises";

import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";

export interface PulseParts {
  /** One linearizable read, which only a cluster with a leader answers. */
  read: () => Promise<unknown>;
  /** Called when etcd answers again after it did not. */
  onReturn: () => void;
  everyMs: number;
  /** A read that takes longer counts as none: an election takes a second or two, and is worth waiting for. */
  patienceMs: number;
  log: Log;
  signal: AbortSignal;
}

/** Whether etcd answers: so that answers from memory are marked stale, and writes are refused at once, while it does not. */
export class Pulse {
  readonly #parts: PulseParts;
  #isAway = false;

  constructor(parts: PulseParts) {
    this.#parts = parts;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** Reads in turns until the signal aborts. */
  async run(): Promise<void> {
    const { everyMs, signal } = this.#parts;
    while (!signal.aborted) {
      await this.#look();
      await pause(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { read, onReturn, patienceMs, log, signal } = this.#parts;
    const tellSlow = () => this.#lose(new Error(`no answer within ${patienceMs} ms`));
    const slow = setTimeout(tellSlow, patienceMs).unref();
    try {
      await read();
      if (!this.#isAway || signal.aborted) return;
      this.#isAway = false;
      log.info("etcd answers again");
      onReturn();
    } catch (fault) {
      this.#lose(fault);
    } finally {
      clearTimeout(slow);
    }
  }

  #lose(fault: unknown): void {
    const { log, signal } = this.#parts;
    if (this.#isAway || signal.aborted) return;
    this.#isAway = true;
    log.error(`etcd does not answer, so names are answered from memory: ${describeFault(fault)}`);
  }
}
