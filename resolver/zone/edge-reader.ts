import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { PublishedEntry } from "../store/publication.ts";
import type { ZoneReader, ZoneView } from "./zone.ts";

/** The copy of the zone near the reader. `get` resolves to null for what it does not hold, or does not hold yet. */
export interface ZoneCopy {
  get(owner: string): Promise<string | null>;
}

/** The registry object, as the Worker reaches it. */
export interface ZoneTruth {
  read(owner: string): Promise<ZoneView>;
}

/**
 * Reads the copy first and the truth for everything the copy does not hold: it holds no ephemeral port, and a miss proves nothing,
 * because an absence is cached as long as a value. While the truth is out of reach the copy answers for it, marked stale.
 */
export function createEdgeReader(copy: ZoneCopy, truth: ZoneTruth, log: Log): ZoneReader {
  async function readCopy(owner: string): Promise<ZoneView | undefined> {
    try {
      const text = await copy.get(owner);
      return text === null ? undefined : viewOf(JSON.parse(text) as PublishedEntry);
    } catch (fault) {
      log.warn(`cannot read the copy of ${owner}: ${describeFault(fault)}`);
      return undefined;
    }
  }
  return {
    async read(owner, fresh) {
      // An escaped octet is in no host's name: not worth a read, and as a key it can be longer than Workers KV takes.
      const mayBeCopied = !fresh && !owner.includes("\\");
      const copied = mayBeCopied ? await readCopy(owner) : undefined;
      if (copied !== undefined) return copied;
      try {
        return await truth.read(owner);
      } catch (cause) {
        const kept = fresh ? await readCopy(owner) : undefined;
        if (kept !== undefined) return { ...kept, stale: true };
        throw new BerthError("registry-unreachable", "the registry object does not answer", {
          retryable: true,
          cause,
        });
      }
    },
  };
}

/** A copy that an earlier berth wrote says no revision. */
function viewOf({ serial, revision = 0, entry }: PublishedEntry): ZoneView {
  return { serial, revision, exists: true, rrsets: entry.rrsets, additional: entry.additional };
}
