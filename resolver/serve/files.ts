import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";

import { BerthError } from "../../shared/errors.ts";

/** The text of `file`, or undefined when there is none. Throws a BerthError `unreadable-file` for every other fault. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new BerthError("unreadable-file", `cannot read ${file}; check its owner and mode`, {
      who: file,
      cause,
    });
  }
}

/** The text of `file`; `make` supplies it on the first start. Two starts at once end with the same text. Throws `unreadable-file` or `unwritable-file`. */
export function readOrCreate(file: string, mode: number, make: () => string): string {
  const known = readIfThere(file);
  if (known !== undefined) return known;
  const draft = writeDraft(file, mode, make());
  try {
    linkSync(draft, file);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
  } finally {
    unlinkSync(draft);
  }
  return readFileSync(file, "utf8");
}

/** Puts `text` in the place of what the file holds; a reader sees the old or the new text, never half of one. */
export function replaceFile(file: string, mode: number, text: string): void {
  renameSync(writeDraft(file, mode, text), file);
}

function writeDraft(file: string, mode: number, text: string): string {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    writeNew(draft, mode, text);
    return draft;
  } catch (cause) {
    rmSync(draft, { force: true });
    const mend = "is there room on its disk, and may this user write there?";
    throw new BerthError("unwritable-file", `cannot write ${file} (${mend})`, { who: file, cause });
  }
}

function writeNew(file: string, mode: number, text: string): void {
  const descriptor = openSync(file, "wx", mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
