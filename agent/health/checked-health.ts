import { worse } from "../declare/health.ts";
import type { CheckState, WantedCheck } from "../declare/input.ts";
import type { CheckedHealth } from "./damping.ts";

/** The worst that the checks of a container's present run say; undefined for one without any. */
export function checkedHealthOf(
  checks: readonly WantedCheck[],
  states: ReadonlyMap<string, CheckState>,
): CheckedHealth {
  const worst = new Map<string, CheckState>();
  for (const { key } of checks) {
    const state = states.get(key);
    if (state === undefined) continue;
    // A container's keys begin with its engine, id and start.
    const run = key.split(" ", 3).join(" ");
    const before = worst.get(run);
    worst.set(run, before === undefined || worse(before, state) === state ? state : before);
  }
  return ({ container, engine }) => worst.get(`${engine} ${container.id} ${container.startedAt}`);
}
