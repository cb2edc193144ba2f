import { once } from "node:events";
import { isatty } from "node:tty";

import { BerthError } from "../shared/errors.ts";

let caught: AbortSignal | undefined;
let hangUp: (() => void) | undefined;

/**
 * SIGINT, SIGTERM and SIGHUP as a value, from the first call on in the place of the process' sudden end: what starts several things checks
 * it between them, because undoing one that is half done misses what it makes afterwards. Should closing hang, a second signal ends the
 * process at once, with no more than its last resorts (last-resort.ts).
 */
export function interruption(): AbortSignal {
  caught ??= catchSignals();
  return caught;
}

export async function untilInterrupted(): Promise<void> {
  const interrupted = interruption();
  if (!interrupted.aborted) await once(interrupted, "abort");
}

/** From now on SIGHUP means `reload`; to a process at a terminal it still means that the terminal is gone. */
export function onHangUp(reload: () => void): void {
  hangUp = reload;
}

function catchSignals(): AbortSignal {
  const controller = new AbortController();
  const take = (): void => {
    if (controller.signal.aborted) process.exit(1);
    process.stderr.write("berth: ending; press Ctrl-C again to stop at once\n");
    const message = "interrupted; what it had started is ended again";
    controller.abort(new BerthError("interrupted", message, { retryable: true }));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, take);
  process.on("SIGHUP", () => (hangUp === undefined || isatty(0) ? take() : hangUp()));
  return controller.signal;
}
