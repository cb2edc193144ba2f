import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

import { auditEntrySchema } from "../../shared/audit.ts";
import { BerthError } from "../../shared/errors.ts";
import { isInZone } from "../../shared/name.ts";
import { bounded, type NewAuditEntry } from "../audit.ts";
import { type Draft, unsettle } from "../draft.ts";
import type { Counters, Hold } from "../records.ts";
import { migrate, registrySteps } from "./schema.ts";
import type { Sql, SqlRow } from "./sql.ts";
import { type AuditClass, auditRoom, classOf, storedText } from "./sql-audit.ts";
import { createSqlHolds } from "./sql-holds.ts";
import { openDatabase } from "./sqlite-database.ts";
import { isNoRoom, unusable } from "./sqlite-problems.ts";

const storedEntrySchema = auditEntrySchema.omit({ id: true });
/** Before the detail of an entry that came from a backup: nobody vouches for it here. */
const restoredMark = "restored: ";

/** A backup, opened to be read. */
export interface Backup {
  counters: Counters;
  holds: Iterable<Hold>;
  /** Adds those that are not there. To be called inside a transaction, as the next one. */
  copyTokens(into: Sql): void;
  copyAudit(into: Sql): void;
  close(): void;
}

/**
 * Opens a copy of the file `backup` in the folder `beside`, because it may be of an older schema, or lie where nothing can be written,
 * and is not to change in any case. Throws a BerthError `bad-backup`, or `newer-schema`, when it could not be restored as a whole.
 */
export function openBackup(backup: string, beside: string, now: number): Backup {
  const directory = mkdtempSync(join(dirname(beside), ".restore-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const copy = join(directory, "registry.db");
    copyFileSync(backup, copy);
    const { sql, handle } = openDatabase(copy);
    const close = () => {
      handle.close();
      remove();
    };
    try {
      checkRegistry(sql);
      migrate(sql, backup, registrySteps, now);
      return { ...readerOf(sql), close };
    } catch (fault) {
      handle.close();
      throw fault;
    }
  } catch (cause) {
    remove();
    if (isNoRoom(cause)) throw unusable("copy of the backup in", directory, cause);
    if (cause instanceof BerthError && ["newer-schema", "disk-full"].includes(cause.code)) throw cause;
    const message = `${backup} is not a whole backup of a berth registry; make one with berth backup`;
    throw new BerthError("bad-backup", message, { who: backup, cause });
  }
}

function checkRegistry(sql: Sql): void {
  const found = sql.all("PRAGMA integrity_check(1)")[0]?.integrity_check;
  if (found !== "ok") throw new Error(String(found));
  // Before migrate, which would make a registry of an empty file.
  if (sql.all("SELECT schema FROM registry").length !== 1) throw new Error("it holds no registry");
}

function readerOf(sql: Sql): Omit<Backup, "close"> {
  const row = sql.all("SELECT revision, serial FROM registry")[0];
  return {
    counters: { revision: Number(row?.revision), serial: Number(row?.serial) },
    holds: createSqlHolds(sql).holds(),
    copyTokens: (into) => copyTokens(sql, into),
    copyAudit: (into) => copyAudit(sql, into),
  };
}

/** Puts its holds in force, but for names somebody serves here. A step of the registry. */
export function restoreHolds({ holds }: Backup, draft: Draft): void {
  const { tables, settings } = draft.parts;
  for (const hold of holds) {
    const kept = keptFrom(hold, draft.now, settings.holdRules.keptMs);
    const own = tables.hold(hold.name);
    const isServed = own !== undefined && own.until === undefined;
    if (kept === undefined || isServed || !isInZone(hold.name, settings.zone)) continue;
    unsettle(draft, kept.name);
    for (const { tokenId } of own === undefined ? [kept] : [kept, own]) draft.tokens.add(tokenId);
    tables.putHold(kept);
  }
}

/** Whoever served a name at the time of the backup gets the whole time to come back; a plain container's name is kept for nobody. */
function keptFrom(hold: Hold, now: number, keptMs: number): Hold | undefined {
  if (hold.until !== undefined) return hold.until > now ? hold : undefined;
  return hold.hostId === undefined ? { ...hold, until: now + keptMs } : undefined;
}

/** Those that are there stay as they are: one that was revoked since the backup must not come back. */
function copyTokens(from: Sql, into: Sql): void {
  const known = new Set(into.all("SELECT id FROM tokens").map((row) => row.id));
  const fresh = from.all("SELECT id, record FROM tokens").filter((row) => !known.has(row.id));
  for (const { id, record } of fresh)
    into.run("INSERT INTO tokens VALUES (?, ?)", String(id), String(record));
}

/**
 * What is written here stays as it is, with its ids. The backup's entries that are missing come after it, marked, and only the newest
 * that there is room for: a file that somebody made up adds to the record, but takes nothing out of it, nor passes for what was written
 * here. Entries are told apart by their text, which has the time in it. What is no entry is left out: the list could not be read with it.
 */
function copyAudit(from: Sql, into: Sql): void {
  const known = new Set(into.all("SELECT entry FROM audit").map(({ entry }) => String(entry)));
  const room = auditRoom(into);
  const rows: [auditClass: AuditClass, entry: string][] = [];
  for (const row of from.all("SELECT outcome, entry FROM audit ORDER BY id DESC")) {
    const entry = restoredEntry(row);
    if (entry === undefined || room[classOf(entry)] <= 0) continue;
    const text = storedText(entry);
    if (known.has(String(row.entry)) || known.has(text)) continue;
    room[classOf(entry)]--;
    rows.push([classOf(entry), text]);
  }
  for (const row of rows.toReversed()) into.run("INSERT INTO audit (outcome, entry) VALUES (?, ?)", ...row);
}

function restoredEntry(row: SqlRow): NewAuditEntry | undefined {
  const stored = storedEntryFrom(row);
  if (stored === undefined || stored.detail.startsWith(restoredMark)) return stored;
  return bounded({ ...stored, detail: `${restoredMark}${stored.detail}` });
}

function storedEntryFrom({ outcome, entry }: SqlRow): NewAuditEntry | undefined {
  try {
    const known = JSON.parse(String(entry));
    return storedEntrySchema.parse({ ...known, outcome: outcome === "refused" ? "refused" : "done" });
  } catch {
    return undefined;
  }
}
