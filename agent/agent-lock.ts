import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { BerthError } from "../shared/errors.ts";
import { isPresent } from "./private-file.ts";

/** The right to speak for the host whose key lies in one state directory. */
export interface AgentLock {
  release(): void;
}

/** The garbage collector closes a database nobody refers to, and that would free the lock of an agent that still runs. */
const held = new Set<DatabaseSync>();

/** https://www.sqlite.org/rescode.html */
const sqliteBusy = 5;

/**
 * Two agents with one host key would push in turns, each undoing the other's set. Throws `agent-running` while another one holds the
 * directory. The lock is the kernel's (fcntl, by way of SQLite), so it ends with the process however that ends, and holds between
 * containers that share the directory, where a pid means nothing. The file stays: removed, it could be locked twice under one name.
 */
export function lockStateDirectory(stateDir: string): AgentLock {
  const path = join(stateDir, "agent.lock");
  let database: DatabaseSync | undefined;
  try {
    makeLockFile(path);
    database = new DatabaseSync(path, { timeout: 0 });
    // SQLite would begin the empty file by a journal beside it.
    database.exec("PRAGMA journal_mode = MEMORY");
    // Not EXCLUSIVE: that one also fails while another start only looks, so of several at once all could be refused.
    database.exec("BEGIN IMMEDIATE");
  } catch (cause) {
    database?.close();
    throw isBusy(cause) ? alreadyRunning(path) : unusable(path, cause);
  }
  const own = database;
  held.add(own);
  return {
    release() {
      if (held.delete(own)) own.close();
    },
  };
}

/**
 * For its owner alone: whoever may read the file may lock it. Never opened when it is there, and without a pause in between: to close
 * any descriptor of a file frees all this process' fcntl locks on it (fcntl(2)).
 */
function makeLockFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (fault) {
    if (!isPresent(fault)) throw fault;
  }
}

function isBusy(fault: unknown): boolean {
  // The low byte is the code, those above it say more about it.
  return fault instanceof Error && "errcode" in fault && (Number(fault.errcode) & 0xff) === sqliteBusy;
}

function alreadyRunning(path: string): BerthError {
  const message = `an agent runs with this state directory already (it holds ${path}); stop it first, or give this one its own --state-dir`;
  return new BerthError("agent-running", message, { who: path });
}

function unusable(path: string, cause: unknown): BerthError {
  const message = `${path} cannot be locked; the state directory must be on a local disk and belong to the user who runs the agent`;
  return new BerthError("bad-state-dir", message, { who: path, cause });
}
