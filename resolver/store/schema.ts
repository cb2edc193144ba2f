import { BerthError } from "../../shared/errors.ts";
import { repackClaims } from "./schema-claims.ts";
import type { Sql } from "./sql.ts";
import { auditStatements } from "./sql-audit.ts";
import { changesStatements } from "./sql-changes.ts";
import { tokenTableStatements } from "./sql-token-table.ts";

/** One statement, or what SQL alone cannot express. `now` in milliseconds of the registry's clock. */
type SchemaChange = string | ((sql: Sql, now: number) => void);

/** Changes by schema version: version n is reached by the first n steps. A step is never edited once released. */
export type SchemaSteps = readonly (readonly SchemaChange[])[];

/** What every runtime keeps. `claims` has one row per host and name, so that a change of one name writes one row. */
export const registrySteps: SchemaSteps = [
  [
    `CREATE TABLE registry (
      id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, revision INTEGER NOT NULL, serial INTEGER NOT NULL)`,
    "INSERT INTO registry VALUES (1, 0, 0, 0)",
    `CREATE TABLE hosts (
      host_id TEXT PRIMARY KEY, host_label TEXT NOT NULL UNIQUE, record TEXT NOT NULL) WITHOUT ROWID`,
    `CREATE TABLE claims (
      host_id TEXT NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL, bindings TEXT NOT NULL, refusal TEXT,
      PRIMARY KEY (host_id, name)) WITHOUT ROWID`,
    "CREATE INDEX claims_by_name ON claims (name)",
  ],
  [
    // The settings the claims were settled under.
    "ALTER TABLE registry ADD COLUMN settled TEXT",
    `CREATE TABLE holds (
      name TEXT PRIMARY KEY, owner TEXT NOT NULL, host_id TEXT, host_label TEXT NOT NULL, token_id TEXT NOT NULL,
      since INTEGER NOT NULL, until INTEGER) WITHOUT ROWID`,
    "CREATE INDEX holds_ending ON holds (until) WHERE until IS NOT NULL",
    "CREATE INDEX holds_kept ON holds (token_id) WHERE until IS NOT NULL",
    ...tokenTableStatements,
    ...auditStatements,
    "ALTER TABLE claims RENAME TO claims_1",
    // `path` is the name from the root down.
    `CREATE TABLE claims (
      host_id TEXT NOT NULL, path TEXT NOT NULL, since INTEGER NOT NULL, bindings TEXT NOT NULL, refusal TEXT,
      PRIMARY KEY (host_id, path)) WITHOUT ROWID`,
    repackClaims,
    "DROP TABLE claims_1",
    "CREATE INDEX claims_by_path ON claims (path)",
    "CREATE INDEX claims_granted ON claims (path) WHERE refusal IS NULL",
    // Every reply tells a host its refusals, which are few, if any.
    "CREATE INDEX claims_refused ON claims (host_id) WHERE refusal IS NOT NULL",
  ],
];

/** All of them: a file that lost one is damaged, though SQLite finds nothing wrong with it. */
export const registryTables = ["registry", "hosts", "claims", "holds", "tokens", "audit"] as const;

/** What a Durable Object keeps besides: it forgets its memory when it hibernates. */
export const objectSteps: SchemaSteps = [
  [
    "CREATE TABLE leases (host_id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE entries (path TEXT PRIMARY KEY, source TEXT NOT NULL, entry TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX entries_by_source ON entries (source)",
    "CREATE TABLE unpublished (owner TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE published (owner TEXT PRIMARY KEY) WITHOUT ROWID",
  ],
  [
    // The zone is compiled when it is asked for.
    "DROP TABLE entries",
    "ALTER TABLE registry ADD COLUMN generation TEXT",
    // No lease runs out earlier; NULL when none runs.
    "ALTER TABLE registry ADD COLUMN soonest INTEGER",
    "UPDATE registry SET soonest = (SELECT MIN(expires_at) FROM leases)",
    "ALTER TABLE leases ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    `UPDATE leases SET epoch = COALESCE(
      (SELECT json_extract(record, '$.epoch') FROM hosts WHERE hosts.host_id = leases.host_id), 0)`,
    // The last turn of hosts that are gone.
    "CREATE TABLE turns (host_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, epoch INTEGER NOT NULL) WITHOUT ROWID",
    // When the copy was written last, in milliseconds.
    "ALTER TABLE registry ADD COLUMN copied_at INTEGER",
    ...changesStatements,
  ],
];

/** Brings the tables up to the last step. Throws a BerthError `newer-schema` on tables of a later one, and touches nothing. */
export function migrate(sql: Sql, who: string, steps: SchemaSteps, now: number): void {
  const found = storedVersion(sql);
  if (found > steps.length) {
    const versions = `schema ${found}, this one knows ${steps.length}`;
    throw new BerthError("newer-schema", `${who} was written by a later berth (${versions}); upgrade berth`, {
      who,
    });
  }
  if (found === steps.length) return;
  sql.transaction(() => {
    for (const change of steps.slice(found).flat()) {
      if (typeof change === "string") sql.run(change);
      else change(sql, now);
    }
    sql.run("UPDATE registry SET schema = ?", steps.length);
  });
}

function storedVersion(sql: Sql): number {
  if (sql.all("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'registry'").length === 0)
    return 0;
  return Number(sql.all("SELECT schema FROM registry")[0]?.schema ?? 0);
}
