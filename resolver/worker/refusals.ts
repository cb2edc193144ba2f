import type { NewAuditEntry } from "../audit.ts";
import type { RefusalAudit } from "../refusal-audit.ts";

export interface WorkerRefusalsParts {
  refusals: RefusalAudit;
  wait: (ms: number) => Promise<void>;
  onFault: (fault: unknown) => void;
}

export interface WorkerRefusals {
  note(entry: NewAuditEntry): void;
  /** To be called after every request. `keepAlive` lets work go on after the reply was sent. */
  flushAfter(keepAlive: (work: Promise<void>) => void): void;
}

const betweenMs = 1000;
/** Work after a reply may take 30 s (Cloudflare's limits); the next request goes on. */
const maxRounds = 10;

/**
 * Writes refusals down where no timer runs between requests: the first at once, what comes within a second after it together. The last
 * request of a burst waits for it, after its reply.
 */
export function createWorkerRefusals({ refusals, wait, onFault }: WorkerRefusalsParts): WorkerRefusals {
  let isNoted = false;
  let flushing: Promise<void> | undefined;

  async function flush(): Promise<void> {
    for (let round = 0; isNoted && round < maxRounds; round++) {
      isNoted = false;
      await refusals.flush().catch(onFault);
      await wait(betweenMs);
    }
  }

  return {
    note(entry) {
      isNoted = true;
      refusals.note(entry);
    },
    flushAfter(keepAlive) {
      if (!isNoted || flushing !== undefined) return;
      flushing = flush().finally(() => {
        flushing = undefined;
      });
      keepAlive(flushing);
    },
  };
}
