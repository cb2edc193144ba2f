import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { Allotment, Allotted } from "./allotment.ts";

/** An hour old is good enough for when an address was last used: its rest is that much longer. */
const staleMs = 3_600_000;

export interface AllotmentKeeperOptions {
  allotment: Allotment;
  /** Writes all of it; undefined when nothing is to be kept between runs. */
  write: ((allotted: readonly Allotted[]) => Promise<void>) | undefined;
  /** Milliseconds of the wall clock. */
  now: () => number;
  log: Log;
}

/** An allotment that is on the disk before anybody hears of it, so that no address is given twice across a crash. */
export class AllotmentKeeper {
  readonly #options: AllotmentKeeperOptions;
  #writing: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  /** Why the last writing failed. */
  fault: string | undefined;

  constructor(options: AllotmentKeeperOptions) {
    this.#options = options;
  }

  /** The host part of `name`'s address, stored; undefined when every place is taken. A full disk is said, not waited for. */
  async hostOf(name: Name): Promise<number | undefined> {
    const { allotment, now } = this.#options;
    const allotted = allotment.allot(name, now());
    if (allotted === undefined) return undefined;
    if (allotted.isNew) await this.store();
    // In the background: the address is on the disk, only its last use is not.
    else if (now() - this.#writtenAt >= staleMs) void this.store();
    return allotted.host;
  }

  /** The address of `name` is in use. */
  touch(name: Name): void {
    this.#options.allotment.touch(name, this.#options.now());
  }

  nameAt(host: number): Name | undefined {
    return this.#options.allotment.nameAt(host);
  }

  isHeld(name: Name): boolean {
    return this.#options.allotment.isHeld(name, this.#options.now());
  }

  /** Resolves when all that is allotted by now is stored, or could not be. Askers that come while one writes share the next writing. */
  store(): Promise<void> {
    this.#waiting ??= this.#writing.then(() => {
      this.#waiting = undefined;
      this.#writing = this.#write();
      return this.#writing;
    });
    return this.#waiting;
  }

  async #write(): Promise<void> {
    const { allotment, write, now, log } = this.#options;
    if (write === undefined) return;
    this.#writtenAt = now();
    try {
      await write(allotment.entries());
      if (this.fault !== undefined) log.info("the addresses of names can be stored again");
      this.fault = undefined;
    } catch (cause) {
      const fault = `the addresses of names cannot be stored, after a restart they may be others: ${describeFault(cause)}`;
      if (this.fault !== fault) log.warn(fault);
      this.fault = fault;
    }
  }
}
