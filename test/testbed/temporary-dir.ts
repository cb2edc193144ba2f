import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leaveToJanitor } from "./janitor.ts";

export type TemporaryDir = { path: string; remove(): void };

/** A new directory under the system's temporary one, removed at the latest when this process ends. */
export function makeTemporaryDir(prefix: string): TemporaryDir {
  const path = mkdtempSync(join(realpathSync(tmpdir()), prefix));
  const forget = leaveToJanitor({ kind: "dir", id: path });
  return {
    path,
    remove() {
      // A browser's last child may still be writing for a moment.
      rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      forget();
    },
  };
}
