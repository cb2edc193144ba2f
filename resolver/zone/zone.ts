import type { Name } from "../../shared/name.ts";
import type { RRset, ZoneEntry } from "../records.ts";

/** A name or a host label whose entries follow from what is declared for it. */
export type Source = { name: Name } | { hostLabel: string };

/** The zone as the registry reads it: compiled from the tables on demand, one source at a time. */
export interface Zone {
  entry(owner: string): ZoneEntry | undefined;
  /** Whether some entry stands below `owner`: what tells an empty non-terminal from a name that does not exist (RFC 8020). */
  hasBelow(owner: string): boolean;
  /** All entries of one source, sorted by owner. */
  entriesOf(source: Source): ZoneEntry[];
  /** Compiles them anew when they are next asked for. */
  forget(sources: Iterable<Source>): void;
  forgetAll(): void;
}

/** What stands at one owner name at one moment, ready to answer from. */
export interface ZoneView {
  /** The SOA serial and the registry's revision this view belongs to. */
  serial: number;
  revision: number;
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
