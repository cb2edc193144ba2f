import type { Log } from "../../shared/log.ts";

/** The same line stands in the log no more often than this. */
const restMs = 60_000;
/** Different lines that are remembered. */
const mostKept = 100;

/**
 * A log whose warnings and errors come once a minute each, with how often they were left out meanwhile: a full disk or a damaged file
 * meets every request there is, and strangers send those.
 */
export function createSparingLog(log: Log, now: () => number): Log {
  const recent = new Map<string, { until: number; leftOut: number }>();

  function sparing(write: (message: string) => void): (message: string) => void {
    return (message) => {
      const known = recent.get(message);
      if (known !== undefined && now() < known.until) {
        known.leftOut++;
        return;
      }
      remember(message);
      const often = known === undefined || known.leftOut === 0 ? "" : ` (and ${known.leftOut} times before)`;
      write(`${message}${often}`);
    };
  }

  function remember(message: string): void {
    recent.delete(message);
    for (const [oldest] of recent) {
      if (recent.size < mostKept) break;
      recent.delete(oldest);
    }
    recent.set(message, { until: now() + restMs, leftOut: 0 });
  }

  return { ...log, warn: sparing(log.warn), error: sparing(log.error) };
}
