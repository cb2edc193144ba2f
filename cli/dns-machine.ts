import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { BerthError } from "../shared/errors.ts";

/** What `berth dns` sees and touches of the machine. Paths are the machine's own, absolute. */
export interface NameMachine {
  /** Undefined when there is no such file. */
  read(path: string): string | undefined;
  /** Where a symbolic link says it leads, there or not; undefined for anything else. */
  linkTarget(path: string): string | undefined;
  /** The path without any link in it; undefined when it leads nowhere. */
  realPath(path: string): string | undefined;
  exists(path: string): boolean;
  /** Whole or not at all, with the owner and mode the file had. */
  write(path: string, text: string): void;
  /** Gone already is no fault. */
  delete(path: string): void;
  /** A program by its name, to its end. Code 127 when there is none; `output` is what it said last. */
  run(argv: string[]): Promise<{ code: number; output: string }>;
}

/** This machine; its files below `root`. */
export function thisMachine(root = "/"): NameMachine {
  const at = (path: string) => join(root, path);
  return {
    read: (path) => whenThere(() => readFileSync(at(path), "utf8")),
    linkTarget: (path) => {
      const isLink = lstatSync(at(path), { throwIfNoEntry: false })?.isSymbolicLink();
      return isLink ? readlinkSync(at(path)) : undefined;
    },
    realPath: (path) => whenThere(() => realpathSync(at(path))),
    exists: (path) => existsSync(at(path)),
    write: (path, text) => asRoot(path, () => replaceFile(at(path), text)),
    delete: (path) => asRoot(path, () => rmSync(at(path), { force: true })),
    run,
  };
}

/** What a file is called until it is whole. */
export function unfinished(path: string): string {
  return `${path}.berth-new`;
}

function replaceFile(path: string, text: string): void {
  const was = lstatSync(path, { throwIfNoEntry: false });
  mkdirSync(dirname(path), { recursive: true });
  const temporary = unfinished(path);
  rmSync(temporary, { force: true });
  try {
    writeFileSync(temporary, text, { flag: "wx", mode: 0o644 });
    chmodSync(temporary, was === undefined ? 0o644 : was.mode & 0o7777);
    if (was !== undefined) chownSync(temporary, was.uid, was.gid);
    flush(temporary);
    renameSync(temporary, path);
  } catch (fault) {
    if (!isBusy(fault)) throw fault;
    // Mounted, as in a container: it can be written to, and never be another file.
    writeFileSync(path, text);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Before the name leads to it: a power cut must not leave a machine with an empty resolv.conf. */
function flush(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function isBusy(fault: unknown): boolean {
  return hasCode(fault, "EBUSY");
}

function whenThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (fault) {
    if (hasCode(fault, "ENOENT") || hasCode(fault, "ENOTDIR")) return undefined;
    throw fault;
  }
}

function asRoot(path: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    const isDenied = hasCode(cause, "EACCES") || hasCode(cause, "EPERM");
    const mend = isDenied ? "run it as root (sudo berth dns ...)" : "nothing of it was changed";
    throw new BerthError("cannot-set-dns", `${path} cannot be changed: ${mend}`, { who: path, cause });
  }
}

function hasCode(fault: unknown, code: string): boolean {
  return fault instanceof Error && "code" in fault && fault.code === code;
}

function run(argv: string[]): Promise<{ code: number; output: string }> {
  const [file = "", ...args] = argv;
  const env = {
    ...process.env,
    LC_ALL: "C",
    PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`,
  };
  return new Promise((resolve) => {
    execFile(file, args, { env, timeout: 60_000 }, (fault, stdout, stderr) => {
      const output = (stdout.trim() || stderr.trim()).split("\n").at(-1) ?? "";
      const code = fault === null ? 0 : typeof fault.code === "number" ? fault.code : 127;
      resolve({ code, output });
    });
  });
}
