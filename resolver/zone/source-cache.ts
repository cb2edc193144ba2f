import type { ZoneEntry } from "../records.ts";

/**
 * How many names and host labels stay compiled. A name with one port is about 2 KiB of objects, so this is some 20 MiB at most, and
 * compiling one again costs tens of microseconds.
 */
const maxSources = 10_000;
/** Sources without entries, kept apart: questions for made-up names must not push out what is there. */
const maxAbsences = 1000;

export type OwnedEntries = ReadonlyMap<string, ZoneEntry>;

export interface SourceCache {
  get(key: string): OwnedEntries | undefined;
  /** Returns the entries by owner name, in their order. */
  put(key: string, entries: ZoneEntry[]): OwnedEntries;
  delete(key: string): void;
  clear(): void;
}

/** What was compiled last, by source; the oldest goes first. */
export function createSourceCache(): SourceCache {
  const present = new Map<string, OwnedEntries>();
  const absent = new Map<string, OwnedEntries>();
  return {
    get: (key) => present.get(key) ?? absent.get(key),
    put(key, entries) {
      const owned = new Map(entries.map((entry) => [entry.owner as string, entry]));
      if (entries.length > 0) keep(present, key, owned, maxSources);
      else keep(absent, key, owned, maxAbsences);
      return owned;
    },
    delete(key) {
      present.delete(key);
      absent.delete(key);
    },
    clear() {
      present.clear();
      absent.clear();
    },
  };
}

function keep(map: Map<string, OwnedEntries>, key: string, owned: OwnedEntries, limit: number): void {
  const oldest = map.size >= limit ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
  map.set(key, owned);
}
