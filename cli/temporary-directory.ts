import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { asLastResort } from "./last-resort.ts";

export interface TemporaryDirectory {
  path: string;
  remove(): void;
}

/** A new directory only this user may look into, removed at the latest when the process ends. */
export function makeTemporaryDirectory(prefix: string): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const erase = (): void => rmSync(path, { recursive: true, force: true });
  const callOff = asLastResort(erase);
  return {
    path,
    remove() {
      erase();
      callOff();
    },
  };
}
