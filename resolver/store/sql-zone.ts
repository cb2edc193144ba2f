import type { Name } from "../../shared/name.ts";
import type { ZoneEntry } from "../records.ts";
import type { Zone } from "../zone/zone.ts";
import type { Sql } from "./sql.ts";

/** The compiled zone in SQLite, for a Durable Object: after hibernation one row read answers, nothing is compiled again. */
export function createSqlZone(sql: Sql): Zone {
  return {
    replace(source, entries) {
      const rows = sql.all("SELECT path, entry FROM entries WHERE source = ?", source);
      const known = new Map(rows.map((row) => [String(row.path), String(row.entry)]));
      const changed: Name[] = [];
      for (const entry of entries) {
        const path = pathOf(entry.owner);
        const text = JSON.stringify(entry);
        if (known.get(path) !== text) {
          sql.run("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", path, source, text);
          changed.push(entry.owner);
        }
        known.delete(path);
      }
      for (const [path, text] of known) {
        sql.run("DELETE FROM entries WHERE path = ?", path);
        changed.push((JSON.parse(text) as ZoneEntry).owner);
      }
      return changed;
    },
    entry(owner) {
      const row = sql.all("SELECT entry FROM entries WHERE path = ?", pathOf(owner))[0];
      return row === undefined ? undefined : (JSON.parse(String(row.entry)) as ZoneEntry);
    },
    hasBelow(owner) {
      // "/" follows "." in ASCII and stands in no name: the range holds all paths that go on below this one.
      const query = "SELECT 1 FROM entries WHERE path > ? AND path < ? LIMIT 1";
      return sql.all(query, `${pathOf(owner)}.`, `${pathOf(owner)}/`).length > 0;
    },
    clear: () => sql.run("DELETE FROM entries"),
  };
}

/** The labels from the root down, so that a subtree is one range of the key. */
function pathOf(owner: string): string {
  return owner.slice(0, -1).split(".").toReversed().join(".");
}
