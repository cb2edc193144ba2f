import { join } from "node:path";

import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { type Learnt, learntFrom, textOfLearnt } from "./learnt.ts";
import { readStateFile, writeStateFile } from "./state-file.ts";

/** What was learnt of the resolvers. */
export interface LearntMemory {
  known(): Learnt;
  /** Takes the place of what was known of the same. */
  keep(news: Partial<Learnt>): void;
}

/** In the state directory where there is one, else for the life of the process. A directory that cannot be written is logged. */
export function createLearntMemory(
  { stateDir, resolver }: { stateDir?: string; resolver: readonly string[] },
  log: Log,
): LearntMemory {
  const file = stateDir === undefined ? undefined : join(stateDir, "resolvers.json");
  let learnt = learntFrom(file === undefined ? undefined : readStateFile(file), resolver);
  return {
    known: () => learnt,
    keep(news) {
      learnt = { ...learnt, ...news };
      if (file === undefined) return;
      try {
        writeStateFile(file, textOfLearnt(learnt));
      } catch (fault) {
        const why = describeFault(fault);
        log.warn(`${file} cannot be written, so what it would hold is learnt anew at each start: ${why}`);
      }
    },
  };
}
