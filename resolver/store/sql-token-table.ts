import type { ChangeRecorder } from "../audit.ts";
import { byAge, isForgotten, type TokenRecord, type TokenTable, type TokenWatch } from "../token-table.ts";
import type { Sql } from "./sql.ts";

export const tokenTableStatements = [
  "CREATE TABLE tokens (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
];

export interface SqlTokenTable extends TokenTable {
  /** Reads the table anew when it is next asked: something else wrote it, such as a restore. */
  reread(): void;
  /** As `find`, at once: for a step in which nothing may come in between. */
  findNow(id: string): TokenRecord | undefined;
}

/**
 * Tokens in SQLite, for every runtime that has one. Read once, then kept in memory as well: a check costs no statement. The schema must
 * be current.
 */
export function createSqlTokenTable(sql: Sql, audit: ChangeRecorder, watch?: TokenWatch): SqlTokenTable {
  let held: Map<string, TokenRecord> | undefined;
  function records(): Map<string, TokenRecord> {
    held ??= new Map(
      sql.all("SELECT id, record FROM tokens").map((row) => [String(row.id), recordFrom(row.record)]),
    );
    return held;
  }
  return {
    reread() {
      held = undefined;
    },
    findNow: (id) => records().get(id),
    find: async (id) => records().get(id),
    list: async () => [...records().values()].toSorted(byAge),
    async put(record, entry) {
      const forgotten = [...records().values()].filter((old) => isForgotten(old, record.createdAt));
      sql.transaction(() => {
        for (const { id } of forgotten) sql.run("DELETE FROM tokens WHERE id = ?", id);
        sql.run("INSERT INTO tokens VALUES (?, ?)", record.id, JSON.stringify(record));
        audit.recordChange(entry);
      });
      // Only now: a transaction that failed must not leave a token that works until the next start.
      for (const { id } of forgotten) records().delete(id);
      records().set(record.id, record);
    },
    async revoke(id, now, entry) {
      const record = records().get(id);
      if (record === undefined) return false;
      if (record.revokedAt !== null) return true;
      const revoked = { ...record, revokedAt: now };
      sql.transaction(() => {
        sql.run("UPDATE tokens SET record = ? WHERE id = ?", JSON.stringify(revoked), id);
        audit.recordChange(entry);
      });
      records().set(id, revoked);
      watch?.announce(id);
      return true;
    },
  };
}

function recordFrom(text: unknown): TokenRecord {
  return JSON.parse(String(text)) as TokenRecord;
}
