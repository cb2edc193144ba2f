import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";

import { addressSchema } from "../../shared/address.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { nameSchema } from "../../shared/name.ts";
import type { Allotted } from "./allotment.ts";
import { type AddressRange, addressAt, hostPartOf } from "./range.ts";

const fileSchema = z.object({
  version: z.literal(1),
  names: z.array(
    z.object({ name: nameSchema, address: addressSchema, usedAt: z.iso.datetime().transform(Date.parse) }),
  ),
});

/**
 * What was allotted, as the file has it; nothing when there is none. A damaged file is set aside beside its place, and said in the log.
 * Throws a BerthError `bad-state-dir` when there is a file that cannot be read: its addresses may be in use.
 */
export async function readAllotment(path: string, range: AddressRange, log: Log): Promise<Allotted[]> {
  const text = await textOf(path);
  if (text === undefined) return [];
  try {
    return allottedFrom(text, range);
  } catch (fault) {
    const aside = `${path}.damaged`;
    await rename(path, aside);
    log.warn(
      `${path} is damaged and was set aside as ${aside}; names may get other addresses than before: ${shortly(fault)}`,
    );
    return [];
  }
}

/** Writes the whole file, or leaves the old one, also across a power cut. Rejects as node:fs does. */
export async function writeAllotment(
  path: string,
  range: AddressRange,
  allotted: readonly Allotted[],
): Promise<void> {
  const names = allotted.map(({ name, host, usedAt }) => {
    return { name, address: addressAt(range, host), usedAt: new Date(usedAt).toISOString() };
  });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    // Left by a process of that number that was killed; and never through a link of somebody who may write to the directory.
    await rm(temporary, { force: true });
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, names }, undefined, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (fault) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fault;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    const message = `${path} cannot be read; make it readable, or name another directory with --state-dir`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
}

function allottedFrom(text: string, range: AddressRange): Allotted[] {
  return fileSchema.parse(JSON.parse(text)).names.flatMap(({ name, address, usedAt }) => {
    // Of another range, when the settings have changed.
    const host = hostPartOf(address, range);
    return host === undefined ? [] : [{ name, host, usedAt }];
  });
}

/** zod lists every fault of a file, which may have thousands. */
function shortly(fault: unknown): string {
  if (!(fault instanceof z.ZodError)) return describeFault(fault);
  const [first] = fault.issues;
  return `${first?.path.join(".") ?? ""}: ${first?.message ?? "wrong"}`;
}
