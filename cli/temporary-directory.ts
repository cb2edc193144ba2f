import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { asLastResort } from "./last-resort.ts";
import { mountsBelow } from "./mounts.ts";

export interface TemporaryDirectory {
  path: string;
  remove(): void;
}

/** A new directory only this user may look into, removed at the latest when the process ends. */
export function makeTemporaryDirectory(prefix: string): TemporaryDirectory {
  const path = mkdtempSync(join(realpathSync(tmpdir()), prefix));
  const erase = (): void => {
    const [mount] = mountsBelow(path);
    // What is mounted there is somebody's, such as a volume bound to a folder of the user's: erasing would go on inside it.
    if (mount === undefined) rmSync(path, { recursive: true, force: true });
    else
      process.stderr.write(
        `berth: ${path} stays, because ${mount} is still mounted; unmount it, then remove it\n`,
      );
  };
  const callOff = asLastResort(erase);
  return {
    path,
    remove() {
      erase();
      callOff();
    },
  };
}
