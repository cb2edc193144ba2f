import type { Name } from "../../shared/name.ts";
import { ChangeLog } from "../change-log.ts";
import type { Change } from "../changes.ts";
import type { Sql } from "./sql.ts";

export const changesStatements = [
  // `names` is NULL for a change of more names than are kept: nobody can go on from before it.
  "CREATE TABLE changes (revision INTEGER PRIMARY KEY, names TEXT)",
];

export interface ChangeBounds {
  /** How many changes stay; half as many more may be there. */
  changes: number;
  /** A change of more names is not kept by name: readers take everything anew. */
  names: number;
}

// A row may have 2 MB (Cloudflare's limits), and a name is 254 characters at most.
const standardBounds: ChangeBounds = { changes: 1_000, names: 5_000 };

/** The last changes, for a process that forgets its memory while nobody asks. */
export interface StoredChanges {
  /** To be called with every change, before anything else is awaited. */
  note(change: Change): void;
  /** A log that begins with what is stored. `revision` is the registry's. */
  load(generation: string, revision: number): ChangeLog;
}

export function createStoredChanges(sql: Sql, bounds = standardBounds): StoredChanges {
  const trimEvery = Math.max(1, bounds.changes >> 1);
  return {
    note({ revision, names }) {
      if (names.length > 0) {
        const kept = names.length > bounds.names ? null : JSON.stringify(names);
        sql.run("INSERT INTO changes VALUES (?, ?)", revision, kept);
      }
      // By the revision, not by a counter in memory, which is gone after every sleep.
      if (revision % trimEvery === 0) trim(sql, bounds.changes);
    },
    load(generation, revision) {
      const rows = sql.all(
        `SELECT revision, names FROM changes
         WHERE revision > COALESCE((SELECT MAX(revision) FROM changes WHERE names IS NULL), -1) ORDER BY revision`,
      );
      const first = rows[0]?.revision;
      // What came before the first one kept is forgotten; without any, so is everything until now.
      const log = new ChangeLog(generation, first === undefined ? revision : Number(first) - 1);
      for (const row of rows) {
        const names = JSON.parse(String(row.names)) as Name[];
        log.note({ revision: Number(row.revision), names, hosts: [] });
      }
      log.note({ revision, names: [], hosts: [] });
      return log;
    },
  };
}

function trim(sql: Sql, kept: number): void {
  const query = "SELECT revision FROM changes ORDER BY revision DESC LIMIT 1 OFFSET ?";
  const newestToGo = sql.all(query, kept)[0];
  if (newestToGo !== undefined)
    sql.run("DELETE FROM changes WHERE revision <= ?", Number(newestToGo.revision));
}
