import type { Counters } from "../records.ts";
import type { Tables } from "../tables.ts";
import type { Sql } from "./sql.ts";
import { createSqlClaims } from "./sql-claims.ts";
import { createSqlHolds } from "./sql-holds.ts";
import { createSqlHosts } from "./sql-hosts.ts";

/** The registry's tables in SQLite, for every runtime that has one. The schema must be current, and nothing else write to them. */
export function createSqlTables(sql: Sql): Tables {
  const { forget, ...hosts } = createSqlHosts(sql);
  // Every answer carries the serial: it must not cost a statement each.
  let counters: Counters | undefined;
  return {
    transaction(change) {
      try {
        return sql.transaction(change);
      } catch (fault) {
        counters = undefined;
        forget();
        throw fault;
      }
    },
    counters() {
      const row = counters === undefined ? sql.all("SELECT revision, serial FROM registry")[0] : undefined;
      counters ??= { revision: Number(row?.revision ?? 0), serial: Number(row?.serial ?? 0) };
      return counters;
    },
    setCounters(next) {
      sql.run("UPDATE registry SET revision = ?, serial = ?", next.revision, next.serial);
      counters = next;
    },
    ...hosts,
    ...createSqlClaims(sql),
    ...createSqlHolds(sql),
  };
}
