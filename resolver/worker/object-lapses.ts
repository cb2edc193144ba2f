import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Registry } from "../registry.ts";

export interface ObjectLapsesParts {
  registry: Pick<Registry, "lapse">;
  /** Milliseconds since 1970. */
  now: () => number;
  log: Log;
}

/** Steps of a mass lapse in one alarm, about a second of work: counted, because the clock stands still while code runs on Workers. */
const stepsAtOnce = 20;
const retryMs = 1000;

/** The lapses of a registry object, as its alarms come by. A fault of one is logged and tried again, and never thrown. */
export class ObjectLapses {
  readonly #parts: ObjectLapsesParts;
  #hasRest = false;

  constructor(parts: ObjectLapsesParts) {
    this.#parts = parts;
  }

  /** Lapsed hosts are left over: the next alarm's work, for which nobody who asks meanwhile has to wait. */
  get hasRest(): boolean {
    return this.#hasRest;
  }

  /** Removes what lapsed, as much as one alarm may. Others have their turn between two steps. */
  async removeDue(): Promise<void> {
    this.next();
    for (let step = 1; step < stepsAtOnce && this.#hasRest; step++) {
      await scheduler.wait(0);
      this.next();
    }
  }

  /** Takes one step, if it is time; returns when the next is due, in milliseconds of the clock. Infinity for never. */
  next(): number {
    const { registry, now, log } = this.#parts;
    this.#hasRest = false;
    try {
      const next = registry.lapse() ?? Number.POSITIVE_INFINITY;
      this.#hasRest = next <= now();
      return next;
    } catch (fault) {
      // An alarm that fails six times is never heard of again.
      log.error(`cannot remove lapsed hosts: ${describeFault(fault)}`);
      return now() + retryMs;
    }
  }
}
