import { once } from "node:events";

import { BerthError } from "../shared/errors.ts";

let caught: AbortSignal | undefined;

/**
 * SIGINT and SIGTERM as a value, from the first call on in the place of the process' sudden end: what starts several things checks it
 * between them, because undoing one that is half done misses what it makes afterwards. A second signal ends the process at once, should
 * closing hang.
 */
export function interruption(): AbortSignal {
  caught ??= catchSignals();
  return caught;
}

export async function untilInterrupted(): Promise<void> {
  const interrupted = interruption();
  if (!interrupted.aborted) await once(interrupted, "abort");
}

function catchSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      const message = "interrupted; what it had started is ended again";
      controller.abort(new BerthError("interrupted", message, { retryable: true }));
    });
  }
  return controller.signal;
}
