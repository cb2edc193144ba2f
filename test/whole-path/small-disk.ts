import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

import { startProcess } from "../testbed/process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";

/** A file system of a few MiB in a mount namespace of its own: it is gone with the process that holds it, however this one ends. */
export type SmallDisk = {
  /** Where programs behind `wrapper` find it. */
  path: string;
  /** Where this process finds it. */
  seenAt: string;
  /** To be put in front of a command that shall see it. */
  wrapper: string[];
  /** Leaves no room at all. */
  fill(): void;
  free(): void;
  close(): Promise<void>;
};

export async function makeSmallDisk(mib: number): Promise<SmallDisk> {
  const place = makeTemporaryDir("berth-disk-");
  const script = `mount -t tmpfs -o size=${mib}m,mode=700 tmpfs "$0" && echo mounted && exec sleep infinity`;
  const holder = startProcess([
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    script,
    place.path,
  ]);
  await holder.waitForLine(/mounted/);
  const seenAt = join("/proc", `${holder.pid}`, "root", place.path);
  const ballast = join(seenAt, "ballast");
  return {
    path: place.path,
    seenAt,
    wrapper: ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`],
    fill: () => fillWith(ballast),
    free: () => rmSync(ballast),
    async close() {
      await holder.kill9();
      place.remove();
    },
  };
}

function fillWith(file: string): void {
  const descriptor = openSync(file, "a");
  const isFull = (fault: unknown) => (fault as NodeJS.ErrnoException).code === "ENOSPC";
  try {
    for (const size of [65_536, 4096, 1]) {
      try {
        for (;;) writeSync(descriptor, Buffer.alloc(size));
      } catch (fault) {
        if (!isFull(fault)) throw fault;
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
