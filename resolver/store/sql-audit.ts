import type { AuditEntry, ChangeAction } from "../../shared/audit.ts";
import type { AuditLog, ChangeRecorder, NewAuditEntry } from "../audit.ts";
import type { Sql, SqlRow } from "./sql.ts";

export const auditStatements = [
  // `outcome` holds the entry's class, which tells operators' deeds from the rest of what was done.
  "CREATE TABLE audit (id INTEGER PRIMARY KEY, outcome TEXT NOT NULL, entry TEXT NOT NULL)",
  // For trimming: SQLite keeps the id in every index, so this one is in order of outcome, id.
  "CREATE INDEX audit_by_outcome ON audit (outcome)",
];

const classes = ["done", "operator", "refused"] as const;
export type AuditClass = (typeof classes)[number];

/**
 * How many rows of each class stay: what hosts did, what operators did, what was refused. Bounded apart, so that neither a fleet whose
 * hosts come and go nor a flood of refused requests pushes out the record of what operators did.
 */
export type AuditBounds = Record<AuditClass, number>;

const standardBounds: AuditBounds = { done: 50_000, operator: 10_000, refused: 10_000 };
const operatorActions: ReadonlySet<string> = new Set<ChangeAction>([
  "token-create",
  "token-revoke",
  "release",
  "withdraw",
  "backup",
  "restore",
]);
/** Trimming steps over all rows it keeps, so it is done for every so many ids only; that many rows more than the bound may be there. */
const trimEvery = 256;

/** The audit log in SQLite, for every runtime that has one. The schema must be current. */
export function createSqlAudit(sql: Sql, bounds = standardBounds): AuditLog & ChangeRecorder {
  function insert(entry: NewAuditEntry): void {
    const query = "INSERT INTO audit (outcome, entry) VALUES (?, ?) RETURNING id";
    const [row] = sql.all(query, classOf(entry), storedText(entry));
    // By the id, not by a counter in memory: an object that sleeps after every tenth entry has to trim as well.
    if (Number(row?.id) % trimEvery === 0) trim();
  }

  function trim(): void {
    for (const each of classes) {
      const newestToGo = "SELECT id FROM audit WHERE outcome = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
      const [row] = sql.all(newestToGo, each, bounds[each]);
      if (row !== undefined) sql.run("DELETE FROM audit WHERE outcome = ? AND id <= ?", each, Number(row.id));
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

/** How many rows of each class could come in before one has to go. */
export function auditRoom(sql: Sql): AuditBounds {
  const room = { ...standardBounds };
  for (const each of classes) {
    const [row] = sql.all("SELECT COUNT(*) AS rows FROM audit WHERE outcome = ?", each);
    room[each] -= Number(row?.rows);
  }
  return room;
}

/** The entry as it is kept, beside its class. */
export function storedText({ outcome: _, ...rest }: NewAuditEntry): string {
  return JSON.stringify(rest);
}

export function classOf({ action, outcome, actor }: NewAuditEntry): AuditClass {
  // A host that withdraws itself is no operator: a fleet that comes and goes does so all the time.
  const isOperators = operatorActions.has(action) && !(action === "withdraw" && actor?.kind === "agent");
  return outcome === "done" && isOperators ? "operator" : outcome;
}

function entryFrom(row: SqlRow): AuditEntry {
  const entry = JSON.parse(String(row.entry)) as Omit<AuditEntry, "id" | "outcome">;
  return { id: Number(row.id), outcome: row.outcome === "refused" ? "refused" : "done", ...entry };
}
