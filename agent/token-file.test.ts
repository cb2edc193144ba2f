import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { readToken } from "./token-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-t-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

test("reads the file anew each time, without the line break at its end", async () => {
  const path = join(dir, "token");
  await writeFile(path, "first\n");
  expect(await readToken(path)).toBe("first");
  await writeFile(path, "second");
  expect(await readToken(path)).toBe("second");
});

test("a missing file, and one that holds no token, name the file and not what is in it", async () => {
  const path = join(dir, "token");
  await expect(readToken(path)).rejects.toMatchObject({ code: "no-token", retryable: true, who: path });
  await writeFile(path, "two words\n");
  const fault = await readToken(path).catch((cause: Error) => cause);
  expect(String(fault)).toContain(path);
  expect(String(fault)).not.toContain("two words");
});

test("one that never answers is a fault after five seconds, and holds up one thread however often it is asked", async () => {
  const path = join(dir, "pipe");
  execFileSync("mkfifo", [path]);
  const faults = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(() => readToken(path).catch((cause: Error) => cause)),
  );
  expect(faults.map((fault) => (fault as { code?: string }).code)).toEqual(Array(6).fill("no-token"));
  // Other files are still read.
  await writeFile(join(dir, "token"), "token");
  expect(await readToken(join(dir, "token"))).toBe("token");
  const late = readToken(path);
  const writer = await open(path, "w");
  await writer.writeFile("late\n");
  await writer.close();
  expect(await late).toBe("late");
}, 20_000);
