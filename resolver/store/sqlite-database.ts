import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";

import type { Sql } from "./sql.ts";
import { namedFault } from "./sqlite-problems.ts";

/** One open SQLite file of berth's. */
export interface SqliteDatabase {
  /** Its faults are BerthErrors where waiting, or a person, can mend them. A transaction inside another one is a part of it. */
  sql: Sql;
  handle: DatabaseSync;
}

/** KiB of pages SQLite may keep in memory: what bounds the resident size of a registry with a million bindings. */
const cacheKib = 32 * 1024;

/** Opens or creates the file for one process alone. Throws what SQLite throws; faults after that are named. */
export function openDatabase(file: string): SqliteDatabase {
  // It lists a network's inventory. SQLite gives its log the database's own mode.
  closeSync(openSync(file, "a", 0o600));
  const handle = new DatabaseSync(file);
  try {
    const sql = sqlOver(handle, file);
    // A second resolver on the same file would serve a zone that its own memory knows nothing of: it has to fail, not to wait. First of
    // all, so that the lock is taken by the first read; set later, it would come with the first write, and need shared memory till then.
    sql.run("PRAGMA locking_mode = EXCLUSIVE");
    sql.run("PRAGMA journal_mode = WAL");
    sql.run("PRAGMA synchronous = FULL");
    sql.run(`PRAGMA cache_size = -${cacheKib}`);
    // A page that was overwritten is to be found out when it is read, not by what follows from it.
    sql.run("PRAGMA cell_size_check = ON");
    return { sql, handle };
  } catch (fault) {
    handle.close();
    throw fault;
  }
}

/** A database that goes with the process, for what only has to be compact. */
export function openMemoryDatabase(): SqliteDatabase {
  const handle = new DatabaseSync(":memory:");
  return { sql: sqlOver(handle, "the registry in memory"), handle };
}

function sqlOver(handle: DatabaseSync, file: string): Sql {
  const statements = new Map<string, StatementSync>();
  const prepared = (query: string) => {
    const known = statements.get(query) ?? handle.prepare(query);
    statements.set(query, known);
    return known;
  };
  const named = <T>(step: () => T): T => {
    try {
      return step();
    } catch (fault) {
      throw namedFault(fault, file) ?? fault;
    }
  };
  return {
    run: (query, ...params) => named(() => void prepared(query).run(...params)),
    all: (query, ...params) => named(() => prepared(query).all(...params)),
    transaction: (change) => named(() => inTransaction(handle, prepared, change)),
  };
}

function inTransaction<T>(
  handle: DatabaseSync,
  prepared: (query: string) => StatementSync,
  change: () => T,
): T {
  const isInner = handle.isTransaction;
  prepared(isInner ? "SAVEPOINT berth" : "BEGIN IMMEDIATE").run();
  try {
    const result = change();
    prepared(isInner ? "RELEASE berth" : "COMMIT").run();
    return result;
  } catch (fault) {
    // A full disk makes SQLite roll back all by itself.
    if (handle.isTransaction && !isInner) prepared("ROLLBACK").run();
    if (handle.isTransaction && isInner) {
      prepared("ROLLBACK TO berth").run();
      prepared("RELEASE berth").run();
    }
    throw fault;
  }
}
