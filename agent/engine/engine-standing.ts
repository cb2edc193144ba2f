import { describeFault } from "../../shared/errors.ts";
import type { SiteAddresses } from "../site.ts";
import { type EngineView, outlivesEngine } from "./engine-view.ts";

/** One of the host's engines, as it is known at some moment. */
export interface KnownEngine {
  /** How people tell it from the host's others. */
  label: string;
  view: EngineView;
  /** Where its published ports are open; undefined while nobody knows: what was read of it says nothing then. */
  site: SiteAddresses | undefined;
  /** Why nobody knows, in words that stay the same from attempt to attempt; undefined before the first has failed. */
  siteFault?: string | undefined;
  /** Whether this machine can connect to its containers' own addresses. */
  isNear: boolean;
}

/** Times are the agent's clock's, in milliseconds. */
export interface Moment {
  /** How many engines the operator named, whatever is known of them: what is told of one must not change with the others' luck. */
  several: boolean;
  now: number;
  graceMs: number;
  startedAt: number;
}

/**
 * What may be said of one engine:
 *
 *   said     what was read of it; of an engine that has ended only the fixed ports
 *   waits    nothing, and it is worth waiting for
 *   missing  nothing, and the others need not wait
 *   lapsed   that it has no containers to declare, because nothing could be known of it for the whole grace
 */
export type Standing =
  | { is: "said"; site: SiteAddresses; fixedOnly: boolean }
  | { is: "waits" | "missing" | "lapsed"; what: string; fault: string | undefined };

/** How long an engine that may be about to answer holds up what the others say. */
const patienceMs = 5_000;

/** Pure. An engine alone is waited for as long as the grace; of several one is for 5 s, while somebody is there. */
export function standingOf(
  { view, site, siteFault }: KnownEngine,
  { several, now, graceMs, startedAt }: Moment,
): Standing {
  const fault = view.fault === undefined ? undefined : describeFault(view.fault);
  if (now - view.readAt >= graceMs)
    return { is: "lapsed", what: `was not read for ${graceMs / 1000} s`, fault };
  const without = (since: number, what: string, why: string | undefined): Standing => {
    const isWorthWhile = !several || (!view.absent && now < since + patienceMs);
    return { is: isWorthWhile ? "waits" : "missing", what, fault: why };
  };
  if (view.read === undefined) return without(startedAt, "was not read yet", fault);
  if (view.unreadSince !== undefined)
    return without(view.unreadSince, "was not read since it came back", fault);
  if (site !== undefined) return { is: "said", site, fixedOnly: view.gone && !outlivesEngine(view) };
  const what = "is at no address that is known yet";
  if (now - startedAt >= graceMs) return { is: "lapsed", what, fault: siteFault };
  return without(startedAt, what, siteFault);
}

/** Moments at which the standing of an engine may change although nothing happens. */
export function deadlinesOf({ view, site }: KnownEngine, graceMs: number, startedAt: number): number[] {
  const since = view.read === undefined ? startedAt : (view.unreadSince ?? -Infinity);
  const own = [view.readAt + graceMs, since + patienceMs];
  return site === undefined ? [...own, startedAt + graceMs, startedAt + patienceMs] : own;
}
