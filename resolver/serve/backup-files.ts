import { createWriteStream } from "node:fs";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { RestoreReport } from "../../shared/backup.ts";
import { BerthError } from "../../shared/errors.ts";
import type { BackupPort } from "../routes/backup.ts";

/** A store that is one file, and copies itself to another and from one. */
export interface CopyingStore {
  /** Writes one state of the registry to `file`, which is not there yet. */
  backup(file: string): Promise<void> | void;
  /** Takes over what `file` holds, or throws and changes nothing. */
  restore(file: string): Promise<RestoreReport> | RestoreReport;
}

const prefix = "backup-";
/** What is left of a process that was killed in the middle: its own, and the store's. */
const remains = /^(backup|\.restore)-/;

/** Copies on their way in or out pass through files in `directory` that only its owner may read, and that are gone afterwards. */
export async function openBackupFiles(directory: string, store: CopyingStore): Promise<BackupPort> {
  await removeRemains(directory);
  let isBusy = false;

  /** One at a time: each takes the disk space of a whole registry. */
  async function withFile<T>(use: (file: string) => Promise<T>): Promise<T> {
    if (isBusy) {
      throw new BerthError("store-unavailable", "another copy is being made or put back", {
        retryable: true,
      });
    }
    isBusy = true;
    let made: string | undefined;
    try {
      // A directory of mode 0700: the store gives its file the mode it likes.
      made = await mkdtemp(join(directory, prefix));
      return await use(join(made, "registry.db"));
    } catch (fault) {
      throw isFull(fault) ? diskFull(directory, fault) : fault;
    } finally {
      if (made !== undefined) await rm(made, { recursive: true, force: true });
      isBusy = false;
    }
  }

  return {
    backup: () =>
      withFile(async (file) => {
        await store.backup(file);
        const copy = await open(file, "r");
        const { size } = await copy.stat();
        // The file lives on without a name until the last octet is read, or the client has gone.
        const octets = Readable.toWeb(copy.createReadStream()) as ReadableStream<Uint8Array>;
        return { octets, length: size };
      }),
    restore: (octets) =>
      withFile(async (file) => {
        await pipeline(Readable.fromWeb(octets), createWriteStream(file, { mode: 0o600, flags: "wx" }));
        return store.restore(file);
      }),
  };
}

async function removeRemains(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter((name) => remains.test(name));
  for (const name of left) await rm(join(directory, name), { recursive: true, force: true });
}

function isFull(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && (fault.code === "ENOSPC" || fault.code === "EDQUOT");
}

function diskFull(directory: string, cause: unknown): BerthError {
  const message = `no room for a copy of the registry in ${directory}`;
  return new BerthError("disk-full", message, { who: directory, retryable: true, cause });
}
