import { createWriteStream, existsSync, openAsBlob } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { fetchBackup, sendBackup } from "../shared/admin-client.ts";
import type { RestoreReport } from "../shared/backup.ts";
import { switchSchema } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { type AdminConfig, adminOptions, askResolver, note, printLines, readAdminConfig } from "./admin.ts";
import type { Command } from "./command.ts";
import { confirm } from "./confirm.ts";
import { parseArguments } from "./flags.ts";
import { interruption } from "./interruption.ts";

/** `berth backup`: one state of the registry in a file, taken while the resolver runs. */
export const backupCommand: Command = {
  summary: "write the running resolver's whole registry to a new file, or to stdout with -",
  operands: "FILE",
  options: adminOptions,
  async run(argv) {
    const wanted = { least: 1, most: 1, what: "one file to write, or - for stdout" };
    const { flags, operands } = parseArguments(adminOptions, argv, wanted);
    const config = readAdminConfig(adminOptions, flags);
    const file = operands[0] ?? "";
    if (file === "-") await backUpToStdout(config);
    else await backUpTo(file, config);
    return 0;
  },
};

const restoreOptions = {
  yes: { schema: switchSchema, help: "do not ask first" },
  ...adminOptions,
};

/** `berth restore`: what no agent can bring again, from a backup. What the resolver has already goes before it. */
export const restoreCommand: Command = {
  summary: "take tokens, held names and the audit record from a backup into the running resolver",
  operands: "FILE",
  options: restoreOptions,
  async run(argv) {
    const wanted = { least: 1, most: 1, what: "one file that berth backup wrote" };
    const { flags, operands } = parseArguments(restoreOptions, argv, wanted);
    const config = readAdminConfig(restoreOptions, flags);
    const file = operands[0] ?? "";
    const copy = await openCopy(file);
    const interrupted = interruption();
    if (!config.yes && !(await isAgreed(file, config.resolver.join(","), interrupted))) {
      note("nothing was changed");
      return 1;
    }
    const report = await askResolver(config, (access) => sendBackup(access, copy, interrupted)).catch(
      (fault) => unlessInterrupted(fault, interrupted),
    );
    return printLines([restoredLine(report)]);
  },
};

function restoredLine({ hosts, bindings, names, tokens }: RestoreReport): string {
  return `restored; there are ${tokens} tokens and ${names} held names now, and ${hosts} hosts with ${bindings} bindings`;
}

async function backUpTo(file: string, config: AdminConfig): Promise<void> {
  if (existsSync(file)) throw notNew(file);
  const part = `${file}.part`;
  const output = await open(part, "wx", 0o600).catch((cause: unknown) => {
    const mend =
      "is its directory there? is another backup writing it, or was one broken off? then remove it";
    throw new BerthError("cannot-write", `cannot make ${part} (${mend})`, { who: part, cause });
  });
  try {
    await copyTo(() => output.createWriteStream({ flush: true }), config);
    // Looked at again: the first look was before all the waiting.
    if (existsSync(file)) throw notNew(file);
    await rename(part, file);
    note(`${file} holds the registry, ${(await stat(file)).size} octets`);
  } finally {
    await output.close();
    await rm(part, { force: true });
  }
}

async function backUpToStdout(config: AdminConfig): Promise<void> {
  if (process.stdout.isTTY)
    throw new BerthError("bad-config", "a terminal is no place for a backup; name a file");
  await copyTo(() => createWriteStream("", { fd: 1, autoClose: false }), config);
}

async function copyTo(output: () => NodeJS.WritableStream, config: AdminConfig): Promise<void> {
  const interrupted = interruption();
  const copy = askResolver(config, async (access) => {
    const octets = await fetchBackup(access, interrupted);
    await pipeline(Readable.fromWeb(octets), output()).catch((cause: unknown) => {
      const message = "the copy broke off; what was written of it is worth nothing";
      throw new BerthError("cannot-write", message, { retryable: true, cause });
    });
  });
  await copy.catch((fault) => unlessInterrupted(fault, interrupted));
}

/** An exchange that was called off looks like one the resolver did not answer. */
function unlessInterrupted(fault: unknown, interrupted: AbortSignal): never {
  interrupted.throwIfAborted();
  throw fault;
}

function notNew(file: string): BerthError {
  return new BerthError("bad-config", `${file} is there already; name a new file`, { who: file });
}

async function openCopy(file: string): Promise<Blob> {
  try {
    const copy = await openAsBlob(file);
    if ((await copy.slice(0, 15).text()) === "SQLite format 3") return copy;
  } catch (cause) {
    throw new BerthError("bad-config", `cannot read ${file}`, { who: file, cause });
  }
  throw new BerthError("bad-config", `${file} is not a backup that berth made`, { who: file });
}

async function isAgreed(file: string, resolver: string, interrupted: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new BerthError("bad-config", "there is nobody to ask; add --yes to restore without asking");
  }
  const question = `Take the tokens, held names and audit record of ${file} into the resolver at ${resolver}?`;
  return confirm(question, false, interrupted);
}
