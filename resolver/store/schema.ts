import { BerthError } from "../../shared/errors.ts";
import type { Sql } from "./sql.ts";

/** Statements by schema version: version n is reached by the first n steps. A step is never edited once released. */
export type SchemaSteps = readonly (readonly string[])[];

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
];

/** What a Durable Object keeps besides: it forgets its memory when it hibernates. */
export const objectSteps: SchemaSteps = [
  [
    "CREATE TABLE leases (host_id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE entries (path TEXT PRIMARY KEY, source TEXT NOT NULL, entry TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX entries_by_source ON entries (source)",
    "CREATE TABLE unpublished (owner TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE published (owner TEXT PRIMARY KEY) WITHOUT ROWID",
  ],
];

/** Brings the tables up to the last step. Throws a BerthError `newer-schema` on tables of a later one, and touches nothing. */
export function migrate(sql: Sql, who: string, steps: SchemaSteps): void {
  const found = storedVersion(sql);
  if (found > steps.length) {
    const versions = `schema ${found}, this one knows ${steps.length}`;
    throw new BerthError("newer-schema", `${who} was written by a later berth (${versions}); upgrade berth`, {
      who,
    });
  }
  if (found === steps.length) return;
  sql.transaction(() => {
    for (const statement of steps.slice(found).flat()) sql.run(statement);
    sql.run("UPDATE registry SET schema = ?", steps.length);
  });
}

function storedVersion(sql: Sql): number {
  if (sql.all("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'registry'").length === 0)
    return 0;
  return Number(sql.all("SELECT schema FROM registry")[0]?.schema ?? 0);
}
