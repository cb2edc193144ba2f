import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { withServicesStopped } from "./debian.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

let dir: ReturnType<typeof makeTemporaryDirectory>;
let file: string;

beforeEach(() => {
  dir = makeTemporaryDirectory("berth-debian-");
  file = join(dir.path, "policy-rc.d");
});
afterEach(() => dir.remove());

test("while packages are installed a policy forbids services to start, and no longer", async () => {
  await withServicesStopped(async () => {
    expect(readFileSync(file, "utf8")).toContain("exit 101");
    expect(statSync(file).mode & 0o111).toBe(0o111);
  }, file);
  expect(existsSync(file)).toBe(false);
});

test("it goes after a fault as well", async () => {
  const failed = withServicesStopped(() => Promise.reject(new Error("no such package")), file);
  await expect(failed).rejects.toThrow("no such package");
  expect(existsSync(file)).toBe(false);
});

test("the operator's own policy stays as it is", async () => {
  writeFileSync(file, "mine");
  await withServicesStopped(async () => expect(readFileSync(file, "utf8")).toBe("mine"), file);
  expect(readFileSync(file, "utf8")).toBe("mine");
});

test("where none can be written the installation goes its way", async () => {
  let isRun = false;
  const run = async (): Promise<void> => {
    isRun = true;
  };
  await withServicesStopped(run, join(dir.path, "absent", "policy-rc.d"));
  expect(isRun).toBe(true);
});
