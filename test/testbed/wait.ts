import { setTimeout as sleep } from "node:timers/promises";

export type WaitOptions = { timeoutMs?: number; everyMs?: number };

/**
 * Asks again until `check` gives something other than undefined or false. A check that throws counts as
 * "not yet"; its last error is the cause of the one thrown when the time is over.
 */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  { timeoutMs = 15_000, everyMs = 50 }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = Date.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(everyMs);
  } while (Date.now() < deadline);
  throw new Error(`Not within ${timeoutMs} ms: ${what}`, { cause });
}
