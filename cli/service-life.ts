import { describeFault } from "../shared/errors.ts";
import { type Log, oneLine } from "../shared/log.ts";
import type { Running } from "./command.ts";
import type { ServiceManager } from "./systemd.ts";

export interface ServiceMeans {
  manager: ServiceManager;
  /** Settles when the service is to end. */
  ended: Promise<void>;
  /** Has `reload` called at every SIGHUP. */
  onHangUp(reload: () => void): void;
  log: Log;
}

/** How soon a service that stood still is looked at again: after a stopped process goes on, its loops are late for a moment. */
const secondLookMs = 1000;

/**
 * The life of what runs until a signal, as systemd sees it: ready, maybe reloading, alive as long as its loops turn, stopping, closed.
 * Resolves when it is closed.
 */
export async function serve(running: Running, means: ServiceMeans): Promise<void> {
  const { manager, ended } = means;
  const life = new ServiceLife(running, means);
  if (running.reload !== undefined) means.onHangUp(() => life.reload());
  await manager.tell("READY=1", life.status());
  const stopWatching = life.keepAlive();
  await ended;
  stopWatching();
  await manager.tell("STOPPING=1");
  await running.close();
}

class ServiceLife {
  readonly #running: Running;
  readonly #means: ServiceMeans;
  #reloading: Promise<void> | undefined;
  #isAskedAgain = false;

  constructor(running: Running, means: ServiceMeans) {
    this.#running = running;
    this.#means = means;
  }

  /** What `systemctl status` shows. It may hold foreign text, which must not become an assignment of its own. */
  status(): string {
    return `STATUS=${oneLine(this.#running.status?.() ?? "at work")}`;
  }

  /** Reads again at once, or once more after the reading under way: that one may have passed by what has changed since. */
  reload(): void {
    if (this.#reloading !== undefined) {
      this.#isAskedAgain = true;
      return;
    }
    this.#isAskedAgain = false;
    this.#reloading = this.#reload().finally(() => {
      this.#reloading = undefined;
      if (this.#isAskedAgain) this.reload();
    });
  }

  async #reload(): Promise<void> {
    const { manager, log } = this.#means;
    await manager.tell("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    try {
      await this.#running.reload?.();
      log.info("reloaded");
    } catch (fault) {
      log.error(`reload: ${describeFault(fault)}; what was read before holds`);
    }
    // Also after a fault: without it systemd would take the service for broken and end what still works.
    await manager.tell("READY=1", this.status());
  }

  /** Says WATCHDOG=1 while no loop is late. Returns what ends that. */
  keepAlive(): () => void {
    const { watchdogMs, tell } = this.#means.manager;
    if (watchdogMs === undefined) return () => {};
    let wasLate = false;
    const look = (): void => {
      const late = this.#lateLoops();
      if (late === "") tell("WATCHDOG=1", this.status());
      else if (!wasLate) this.#means.log.error(`${late}; unless that ends, systemd restarts this service`);
      wasLate = late !== "";
      timer = setTimeout(look, wasLate ? Math.min(secondLookMs, watchdogMs / 2) : watchdogMs / 2);
    };
    let timer = setTimeout(look, watchdogMs / 2);
    return () => clearTimeout(timer);
  }

  #lateLoops(): string {
    const overdue = this.#running.progress?.overdue() ?? [];
    return overdue
      .map(({ loop, lateMs }) => `${loop} stands still, ${Math.round(lateMs)} ms late`)
      .join(", ");
  }
}
