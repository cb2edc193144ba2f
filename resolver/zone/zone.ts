import type { Name } from "../../shared/name.ts";
import type { RRset, ZoneEntry } from "../records.ts";

/**
 * Where the registry keeps what it compiled. Every entry has one source, the service name or host it was compiled from, and owner names
 * of two sources never meet (names below `host.<zone>` are reserved to the hosts).
 */
export interface Zone {
  /** Puts `entries` in the place of all that came from `source`; returns the owner names whose entry changed. */
  replace(source: string, entries: ZoneEntry[]): Name[];
  entry(owner: string): ZoneEntry | undefined;
  /** Whether some entry stands below `owner`: what tells an empty non-terminal from a name that does not exist (RFC 8020). */
  hasBelow(owner: string): boolean;
  /** Forgets everything; used before the zone is compiled anew. */
  clear(): void;
}

/** What stands at one owner name at one moment, ready to answer from. */
export interface ZoneView {
  /** The SOA serial this view belongs to. */
  serial: number;
  /** False: no such name, and none below it (NXDOMAIN). True with no RRsets: an empty non-terminal. */
  exists: boolean;
  rrsets: RRset[];
  additional: ZoneEntry["additional"];
  /** True when the truth could not be reached and a copy of unknown age answers (RFC 8914, Stale Answer). */
  stale?: boolean;
}

/** The reading side of a zone. Throws a BerthError when it can be neither read nor replaced by a copy. */
export interface ZoneReader {
  /** `fresh` asks past every copy. */
  read(owner: string, fresh: boolean): ZoneView | Promise<ZoneView>;
}
