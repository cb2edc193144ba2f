import type { CheckState } from "../declare/input.ts";

/** What a check's probes have said so far. */
export interface CheckHistory {
  state: CheckState;
  /** In a row, up to the latest probe; counted no further than it takes to be unhealthy. */
  failures: number;
}

export const unchecked: CheckHistory = { state: "starting", failures: 0 };

/** One lost connect is no outage: a busy service drops some. */
const failuresForUnhealthy = 3;
/** A label may ask for less, but then the checks would be a load of their own. */
const shortestIntervalMs = 1_000;
/** To either side of the interval, so that checks that began together drift apart. */
const jitter = 0.1;

/** One success makes healthy; three failures in a row make unhealthy; until then the state stays as it was. */
export function historyAfter(history: CheckHistory, succeeded: boolean): CheckHistory {
  if (succeeded) return { state: "healthy", failures: 0 };
  const failures = Math.min(history.failures + 1, failuresForUnhealthy);
  return { state: failures === failuresForUnhealthy ? "unhealthy" : history.state, failures };
}

/** Milliseconds until the next probe when the last one took `spentMs`; `random` (0 to 1) spreads the interval by a tenth. */
export function nextProbeMs(intervalMs: number, spentMs: number, random: number): number {
  const interval = Math.max(shortestIntervalMs, intervalMs) * (1 - jitter + 2 * jitter * random);
  return Math.max(0, interval - spentMs);
}
