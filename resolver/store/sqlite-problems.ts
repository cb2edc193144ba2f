import { BerthError } from "../../shared/errors.ts";

/** SQLite's primary result codes (https://www.sqlite.org/rescode.html) that waiting, or a person, can mend. */
const primary = { busy: 5, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 };

/** A fault of SQLite while the file is in use, as a BerthError; undefined for those that are nobody's to mend. */
export function namedFault(cause: unknown, file: string): BerthError | undefined {
  switch (primaryCodeOf(cause)) {
    case primary.full:
      return noRoom(file, cause);
    // A file system that failed is often read-only from then on.
    case primary.readonly:
    case primary.ioerr:
      return new BerthError("store-unavailable", `the registry file ${file} cannot be read or written`, {
        who: file,
        retryable: true,
        cause,
      });
    case primary.corrupt:
    case primary.notadb:
      return damaged(file, cause);
    default:
      return undefined;
  }
}

/** What a person has to do about a file that is no database, or no longer one. */
export function damaged(file: string, cause?: unknown): BerthError {
  const mend = "stop the resolver, move the file away, start it and restore a backup with berth restore";
  return new BerthError("bad-database", `the registry file ${file} is damaged (${mend})`, {
    who: file,
    cause,
  });
}

/** Why `file`, which `what` is kept in, could not be opened, as a BerthError `bad-database` or `disk-full`. */
export function unusable(what: string, file: string, cause: unknown): BerthError {
  if (cause instanceof BerthError) return cause;
  if (isNoRoom(cause)) return noRoom(file, cause);
  const message = `cannot use the ${what} ${file} (${mendFor(cause)})`;
  return new BerthError("bad-database", message, { who: file, cause });
}

/** Whether a disk, or somebody's share of it, is full. */
export function isNoRoom(fault: unknown): boolean {
  return primaryCodeOf(fault) === primary.full || ["ENOSPC", "EDQUOT"].includes(systemCodeOf(fault) ?? "");
}

function noRoom(file: string, cause: unknown): BerthError {
  const message = `there is no room left for ${file}; free some, nothing was written`;
  return new BerthError("disk-full", message, { who: file, retryable: true, cause });
}

function mendFor(cause: unknown): string {
  if (primaryCodeOf(cause) === primary.busy) {
    return "another resolver has it open; a state directory is for one: stop the other, or choose another with --state-dir";
  }
  if (systemCodeOf(cause) === "EISDIR") return "it is a directory; move it away";
  if (["EACCES", "EPERM", "EROFS"].includes(systemCodeOf(cause) ?? "")) {
    return "check its owner and mode: it has to be writable for the user the resolver runs as";
  }
  return "it may be damaged; move it away, start and restore a backup with berth restore";
}

function primaryCodeOf(fault: unknown): number | undefined {
  // Extended codes have more in the higher octets.
  return fault instanceof Error && "errcode" in fault ? Number(fault.errcode) & 0xff : undefined;
}

function systemCodeOf(fault: unknown): string | undefined {
  return fault instanceof Error && "code" in fault ? String(fault.code) : undefined;
}
