import { randomBytes } from "node:crypto";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";

import { BerthError } from "../shared/errors.ts";

/** Makes the directory, for its owner alone, unless it is there. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const message = `the state directory ${path} cannot be made; make it, or name another one with --state-dir`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
}

/**
 * Writes a file that only its owner may read, whole or not at all, also across a power cut. False when `path` exists; of several
 * writers at once exactly one gets true.
 */
export async function createOnce(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // Not rename: it would replace what another writer has just made.
    await link(temporary, path);
  } catch (fault) {
    if (isPresent(fault)) return false;
    throw fault;
  } finally {
    await unlink(temporary).catch(() => {});
  }
  await flushDirectory(dirname(path));
  return true;
}

export function isMissing(fault: unknown): boolean {
  return codeOf(fault) === "ENOENT";
}

export function isPresent(fault: unknown): boolean {
  return codeOf(fault) === "EEXIST";
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(fault: unknown): unknown {
  return fault instanceof Error && "code" in fault ? fault.code : undefined;
}
