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
/** What has only just started may take its time; so it is asked each second, lest people wait for a whole interval. */
const failuresWhileStarting = 30;
const startingIntervalMs = 1_000;
/** A label may ask for less, but then the checks would be a load of their own. */
const shortestIntervalMs = 1_000;
/** To either side of the interval, so that checks that began together drift apart. */
const jitter = 0.1;

/** One success makes healthy; three failures in a row make unhealthy, before the first success thirty; until then the state stays as it was. */
export function historyAfter(history: CheckHistory, succeeded: boolean): CheckHistory {
  if (succeeded) return { state: "healthy", failures: 0 };
  const most = history.state === "starting" ? failuresWhileStarting : failuresForUnhealthy;
  const failures = Math.min(history.failures + 1, most);
  return { state: failures === most ? "unhealthy" : history.state, failures };
}

/** Milliseconds until the next probe when the last one took `spentMs`; `random` (0 to 1) spreads the interval by a tenth. */
export function nextProbeMs(
  { state }: CheckHistory,
  intervalMs: number,
  spentMs: number,
  random: number,
): number {
  const asked = state === "starting" ? Math.min(startingIntervalMs, intervalMs) : intervalMs;
  const interval = Math.max(shortestIntervalMs, asked) * (1 - jitter + 2 * jitter * random);
  return Math.max(0, interval - spentMs);
}
