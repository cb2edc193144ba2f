import { instanceOf } from "../declare/instance.ts";
import type { EngineRead } from "../engine/engine-view.ts";
import { lasts } from "../engine/facts.ts";

/**
 * The runs of containers that have not ended, as far as the engines' last good reads tell: also of those that nothing is declared of,
 * because they were told to stop, are paused, or their engine is silent. They go on with what they have begun.
 */
export function lastingRuns(reads: readonly (EngineRead | undefined)[]): Set<string> {
  const runs = new Set<string>();
  for (const read of reads) {
    for (const container of read?.containers ?? []) if (lasts(container)) runs.add(instanceOf(container));
    for (const container of read?.draining ?? []) runs.add(instanceOf(container));
  }
  return runs;
}
