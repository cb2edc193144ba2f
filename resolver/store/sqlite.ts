import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";

import { BerthError } from "../../shared/errors.ts";
import { Registry, type RegistrySettings } from "../registry.ts";
import type { BindingStore } from "../store.ts";
import { createVolatileLeases } from "../tables.ts";
import { createMemoryZone } from "../zone/memory-zone.ts";
import { storeOver } from "./memory.ts";
import { migrate, registrySteps } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { createSqlTables } from "./sql-tables.ts";

export interface SqliteStore extends BindingStore {
  /** Removes what lapsed; returns when to call again, in milliseconds of the clock. */
  lapse(): number | undefined;
  close(): void;
}

/**
 * The registry in one SQLite file (WAL, synchronous FULL: a push that was acknowledged survives a power cut), its zone in memory. Hosts
 * found in the file get one fresh lease. Throws a BerthError `bad-database` that names the file when it cannot be opened or read.
 */
export function openSqliteStore(file: string, settings: RegistrySettings, now: () => number): SqliteStore {
  let database: DatabaseSync | undefined;
  try {
    // It lists a network's inventory. SQLite gives its log the database's own mode.
    closeSync(openSync(file, "a", 0o600));
    const opened = new DatabaseSync(file);
    database = opened;
    const sql = sqlOver(opened);
    sql.run("PRAGMA journal_mode = WAL");
    sql.run("PRAGMA synchronous = FULL");
    // A second resolver on the same file would serve a zone that its own memory knows nothing of: it has to fail, not to wait.
    sql.run("PRAGMA locking_mode = EXCLUSIVE");
    migrate(sql, file, registrySteps);
    const tables = createSqlTables(sql);
    const registry = new Registry({
      tables,
      leases: createVolatileLeases(),
      zone: createMemoryZone(),
      settings,
      now,
    });
    registry.resume();
    const store = storeOver(registry, tables, settings.zone);
    return { ...store, lapse: () => registry.lapse(), close: () => opened.close() };
  } catch (cause) {
    database?.close();
    if (cause instanceof BerthError) throw cause;
    const mend =
      "another resolver may be using it, or it is damaged; stop the other, restore a copy, or move it away to start empty";
    throw new BerthError("bad-database", `cannot use the registry file ${file} (${mend})`, {
      who: file,
      cause,
    });
  }
}

function sqlOver(database: DatabaseSync): Sql {
  const statements = new Map<string, StatementSync>();
  const prepared = (query: string) => {
    const known = statements.get(query) ?? database.prepare(query);
    statements.set(query, known);
    return known;
  };
  return {
    run: (query, ...params) => void prepared(query).run(...params),
    all: (query, ...params) => prepared(query).all(...params),
    transaction(change) {
      prepared("BEGIN IMMEDIATE").run();
      try {
        const result = change();
        prepared("COMMIT").run();
        return result;
      } catch (fault) {
        if (database.isTransaction) prepared("ROLLBACK").run();
        throw fault;
      }
    },
  };
}
