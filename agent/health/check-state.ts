import type { CheckState } from "../declare/input.ts";

/** What a check's probes have said so far. */
export interface CheckHistory {
  state: CheckState;
  /** In a row, up to the latest probe; counted no further than anybody asks. */
  failures: number;
}

export const unchecked: CheckHistory = { state: "starting", failures: 0 };

/** One lost connect is no outage: a busy service drops some. */
const failuresForUnhealthy = 3;
/** What has only just started is asked each second, this many times, lest people wait for a whole interval once it serves. */
const quickProbes = 30;
const startingIntervalMs = 1_000;
/** A label may ask for less, but then the checks would be a load of their own. */
const shortestIntervalMs = 1_000;
/** To either side of the interval, so that checks that began together drift apart. */
const jitter = 0.1;

/** One success makes healthy; three failures in a row make unhealthy what was healthy before. What never was stays `starting`. */
export function historyAfter(history: CheckHistory, succeeded: boolean): CheckHistory {
  if (succeeded) return { state: "healthy", failures: 0 };
  const failures = Math.min(history.failures + 1, quickProbes);
  const isDown = history.state !== "starting" && failures >= failuresForUnhealthy;
  return { state: isDown ? "unhealthy" : history.state, failures };
}

/** It had time enough to start, and has not. */
export function isOverdue({ state, failures }: CheckHistory): boolean {
  return state === "starting" && failures >= quickProbes;
}

/** Milliseconds until the next probe when the last one took `spentMs`; `random` (0 to 1) spreads the interval by a tenth. */
export function nextProbeMs(
  { state, failures }: CheckHistory,
  intervalMs: number,
  spentMs: number,
  random: number,
): number {
  const isQuick = state === "starting" && failures < quickProbes;
  const asked = isQuick ? Math.min(startingIntervalMs, intervalMs) : intervalMs;
  const interval = Math.max(shortestIntervalMs, asked) * (1 - jitter + 2 * jitter * random);
  return Math.max(0, interval - spentMs);
}
