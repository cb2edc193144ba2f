import { randomBytes } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";

import { BerthError } from "../../shared/errors.ts";
import { isNoRoom, unusable } from "./sqlite-problems.ts";

/** Pages copied without a pause for requests: 4 MiB. */
const pagesAtOnce = 1024;

/**
 * Writes what the database holds now to `target`, one whole SQLite file, while pushes and answers go on. What was at `target` stays until
 * the new one is complete. Throws a BerthError `backup-failed`, or `disk-full`.
 */
export async function backupDatabase(handle: DatabaseSync, target: string): Promise<void> {
  const partial = `${target}.${randomBytes(6).toString("hex")}.partial`;
  try {
    // It holds what the registry holds.
    closeSync(openSync(partial, "wx", 0o600));
    await backup(handle, partial, { rate: pagesAtOnce });
    detachFromLog(partial);
    renameSync(partial, target);
  } catch (cause) {
    rmSync(partial, { force: true });
    if (isNoRoom(cause)) throw unusable("backup", target, cause);
    throw new BerthError("backup-failed", `the backup cannot be written to ${target}`, {
      who: target,
      cause,
    });
  }
}

/** A copy of a database with a write-ahead log asks for one beside it: a backup has to be readable where nothing can be written. */
function detachFromLog(file: string): void {
  const copy = new DatabaseSync(file);
  try {
    copy.exec("PRAGMA journal_mode = DELETE");
  } finally {
    copy.close();
  }
}
