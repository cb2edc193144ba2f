import type { RestoreReport } from "../../shared/backup.ts";
import type { PushReply } from "../../shared/binding.ts";
import type { AuditLog, ChangeRecorder } from "../audit.ts";
import { grantOf } from "../plan.ts";
import type { Counters } from "../records.ts";
import { Registry, type RegistryParts } from "../registry.ts";
import type { RegistrySettings } from "../settings.ts";
import type { BindingStore } from "../store.ts";
import type { Tables } from "../tables.ts";
import { createZone } from "../zone/compiled-zone.ts";
import { storeOver } from "./memory.ts";
import { makeGeneration, sha256Hex } from "./node-crypto.ts";
import { migrate, registrySteps, registryTables } from "./schema.ts";
import { settleUnder } from "./settled.ts";
import type { Sql } from "./sql.ts";
import { createSqlAudit } from "./sql-audit.ts";
import { createSqlTables } from "./sql-tables.ts";
import { backupDatabase } from "./sqlite-backup.ts";
import { openDatabase, type SqliteDatabase } from "./sqlite-database.ts";
import { damaged, unusable } from "./sqlite-problems.ts";
import { openBackup, restoreHolds } from "./sqlite-restore.ts";
import { createVolatileLeases } from "./volatile-leases.ts";

export interface SqliteStore extends BindingStore {
  /** The registry's own file, for what has to change together with it or to be in its backups: tokens, and the audit record. */
  sql: Sql;
  /** What was done and refused, in the same file; changes are written down in the transaction that makes them. */
  audit: AuditLog & ChangeRecorder;
  /** What requests have to be signed for. */
  generation(): string;
  /** What the host was granted, for whoever speaks for it in that epoch. */
  grantOf(hostId: string, epoch: number): PushReply | undefined;
  /** Prolongs a lease for a link's ping; false when another process speaks for the host, or the lease is over. */
  touch(hostId: string, epoch: number): boolean;
  /** Removes what lapsed; returns when to call again, in milliseconds of the clock. */
  lapse(): number | undefined;
  /** Writes all of it to one file while pushes and answers go on. Throws a BerthError `backup-failed`, or `disk-full`. */
  backup(file: string): Promise<void>;
  /**
   * Takes from a backup what agents cannot bring again: tokens, names kept for their owners, and the audit record. Hosts and bindings in
   * it are as old as it is, and stay there. What is here goes before it: a token revoked since stays revoked, a name somebody serves
   * stays theirs. All of it or nothing; returns how much there is then. Throws a BerthError `bad-backup`, or `newer-schema`.
   */
  restore(file: string): RestoreReport;
  close(): void;
}

export interface SqliteStoreOptions extends Pick<RegistryParts, "onCommitted"> {
  /** What the audit record is dated by, where that is another clock than the one leases run on. */
  auditNow?: () => number;
}

/** MiB of a file that is read through at the start to see whether it is whole: a tenth of a second for every 100. */
const checkedMib = 512;
/** We look every second: a lease found over for longer than this ended while we stood still, and its host could not renew. Milliseconds. */
const standstillMs = 5_000;

/**
 * The registry in one SQLite file (WAL, synchronous FULL: a push that was acknowledged survives a power cut). Hosts found in the file get
 * one fresh lease, and so do those whose lease ended while nobody called for long. `onCommitted` is told what changed once it is on the disk. Throws a BerthError that names the file: `bad-database` when
 * it cannot be used, `newer-schema`, `disk-full`.
 */
export function openSqliteStore(
  file: string,
  settings: RegistrySettings,
  now: () => number,
  { auditNow = now, ...watch }: SqliteStoreOptions = {},
): SqliteStore {
  const { sql, handle } = openRegistryFile(file, now);
  const tables = createSqlTables(sql);
  const leases = createVolatileLeases(makeGeneration);
  const zone = createZone(tables, settings);
  const audit = createSqlAudit(sql);
  const digest = sha256Hex;
  const overdueGrace = standstillMs;
  const registry = new Registry({
    tables,
    leases,
    zone,
    settings,
    now,
    digest,
    audit: { recordChange: (entry) => audit.recordChange({ ...entry, at: Math.floor(auditNow()) }) },
    overdueGrace,
    ...watch,
  });
  try {
    settleUnder(sql, registry, settings);
    registry.resume();
  } catch (cause) {
    handle.close();
    throw unusable("registry file", file, cause);
  }
  return {
    ...storeOver(registry, tables, settings),
    sql,
    audit,
    generation: () => leases.generation(),
    grantOf: (hostId, epoch) => grantOf(tables, hostId, epoch),
    touch: (hostId, epoch) => registry.touch(hostId, epoch),
    lapse: () => registry.lapse(),
    backup: (target) => backupDatabase(handle, target),
    restore(source) {
      const backup = openBackup(source, file, now());
      try {
        // By itself, and first: what the step announces has to be later than all that was ever announced.
        tables.transaction(() => tables.setCounters(laterThan(tables.counters(), backup.counters)));
        registry.apply((draft) => {
          restoreHolds(backup, draft);
          backup.copyTokens(sql);
          backup.copyAudit(sql);
        });
        return reportOn(sql, tables);
      } finally {
        backup.close();
      }
    },
    close: () => handle.close(),
  };
}

function openRegistryFile(file: string, now: () => number): SqliteDatabase {
  let database: SqliteDatabase | undefined;
  try {
    database = openDatabase(file);
    const { sql } = database;
    migrate(sql, file, registrySteps, now());
    for (const table of registryTables) sql.all(`SELECT 1 FROM ${table} LIMIT 1`);
    const pages = sql.all("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size");
    const isChecked = Number(pages[0]?.bytes) <= checkedMib * 1024 * 1024;
    if (isChecked && sql.all("PRAGMA quick_check(1)")[0]?.quick_check !== "ok") throw damaged(file);
    return database;
  } catch (cause) {
    database?.handle.close();
    throw unusable("registry file", file, cause);
  }
}

function reportOn(sql: Sql, tables: Tables): RestoreReport {
  const count = (table: string) => Number(sql.all(`SELECT COUNT(*) AS rows FROM ${table}`)[0]?.rows);
  const hosts = tables.hosts();
  const bindings = hosts.reduce((sum, host) => sum + host.bindings, 0);
  return { hosts: hosts.length, bindings, names: count("holds"), tokens: count("tokens") };
}

function laterThan(a: Counters, b: Counters): Counters {
  return { revision: Math.max(a.revision, b.revision) + 1, serial: Math.max(a.serial, b.serial) + 1 };
}
