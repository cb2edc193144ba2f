import type { Access } from "./access.ts";
import type { Timers } from "./change-events.ts";
import type { TokenWatch } from "./token-table.ts";

export interface AccessEndParts {
  watch: TokenWatch;
  timers: Timers;
  now: () => number;
}

/** The longest delay a timer takes: whoever is still there by then has to show the token again. */
const longestMs = 2 ** 31 - 1;

/** Calls `end` once, when the token is revoked or has expired. Returns what calls that off, to be called when nobody waits for it. */
export function whenAccessEnds(
  { watch, timers, now }: AccessEndParts,
  { tokenId, expiresAt }: Access,
  end: () => void,
): () => void {
  const stops: (() => void)[] = [];
  const callOff = (): void => {
    for (const stop of stops.splice(0)) stop();
  };
  const endOnce = (): void => {
    callOff();
    end();
  };
  stops.push(watch.onRevoked((id) => id === tokenId && endOnce()));
  if (expiresAt !== undefined) {
    stops.push(timers.after(Math.min(Math.max(expiresAt - now(), 0), longestMs), endOnce));
  }
  return callOff;
}
