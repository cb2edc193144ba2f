import type { AuditEntry } from "../../shared/audit.ts";
import type { AuditLog, ChangeRecorder, NewAuditEntry } from "../audit.ts";
import type { Sql, SqlRow } from "./sql.ts";

export const auditStatements = [
  "CREATE TABLE audit (id INTEGER PRIMARY KEY, outcome TEXT NOT NULL, entry TEXT NOT NULL)",
  // For trimming: SQLite keeps the id in every index, so this one is in order of outcome, id.
  "CREATE INDEX audit_by_outcome ON audit (outcome)",
];

/** How many rows of each outcome stay. Bounded apart, so that no flood of refused requests pushes out the record of changes. */
export interface AuditBounds {
  done: number;
  refused: number;
}

const standardBounds: AuditBounds = { done: 50_000, refused: 10_000 };
/** Trimming steps over all rows it keeps, so it is done for every so many ids only; that many rows more than the bound may be there. */
const trimEvery = 256;

/** The audit log in SQLite, for every runtime that has one. The schema must be current. */
export function createSqlAudit(sql: Sql, bounds = standardBounds): AuditLog & ChangeRecorder {
  function insert(entry: NewAuditEntry): void {
    const { outcome, ...rest } = entry;
    const query = "INSERT INTO audit (outcome, entry) VALUES (?, ?) RETURNING id";
    const [row] = sql.all(query, outcome, JSON.stringify(rest));
    // By the id, not by a counter in memory: an object that sleeps after every tenth entry has to trim as well.
    if (Number(row?.id) % trimEvery === 0) trim();
  }

  function trim(): void {
    for (const outcome of ["done", "refused"] as const) {
      const newestToGo = "SELECT id FROM audit WHERE outcome = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
      const [row] = sql.all(newestToGo, outcome, bounds[outcome]);
      if (row !== undefined)
        sql.run("DELETE FROM audit WHERE outcome = ? AND id <= ?", outcome, Number(row.id));
    }
  }

  return {
    recordChange: insert,
    async record(entries) {
      sql.transaction(() => {
        for (const entry of entries) insert(entry);
      });
    },
    async list(limit, before = Number.MAX_SAFE_INTEGER) {
      const query = "SELECT id, outcome, entry FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?";
      return sql.all(query, before, limit).map(entryFrom).toReversed();
    },
  };
}

function entryFrom(row: SqlRow): AuditEntry {
  const entry = JSON.parse(String(row.entry)) as Omit<AuditEntry, "id" | "outcome">;
  return { id: Number(row.id), outcome: row.outcome as AuditEntry["outcome"], ...entry };
}
