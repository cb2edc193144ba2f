import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { mountsBelow } from "../../cli/mounts.ts";
import { makeTemporaryDirectory } from "../../cli/temporary-directory.ts";

test("a directory below which something is mounted is not erased, and the mount is found by its real name", () => {
  const users = mkdtempSync(join(realpathSync(tmpdir()), "berth-users-"));
  writeFileSync(join(users, "photo"), "mine");
  const directory = makeTemporaryDirectory("berth a space ");
  const place = join(directory.path, "volume");
  mkdirSync(place);
  expect(spawnSync("mount", ["--bind", users, place]).status, "mounting needs root").toBe(0);
  onTestFinished(() => {
    spawnSync("umount", [place]);
    directory.remove();
    rmSync(users, { recursive: true });
  });
  expect(mountsBelow(directory.path)).toEqual([place]);
  directory.remove();
  expect(existsSync(join(users, "photo"))).toBe(true);
  expect(existsSync(place)).toBe(true);
});
