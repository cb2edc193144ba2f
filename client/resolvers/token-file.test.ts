import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { createTokenFile } from "./token-file.ts";

let file: string;
let read: (again: boolean) => Promise<string>;

beforeEach(() => {
  const directory = makeTemporaryDir("berth-token-");
  onTestFinished(() => directory.remove());
  file = join(directory.path, "reader.token");
  writeFileSync(file, "one\n");
  read = createTokenFile(file);
});

test("the token is the file's text without its line break", async () => {
  expect(await read(false)).toBe("one");
});

test("a file that is written anew is read anew, and so is one put in its place", async () => {
  await read(false);
  writeFileSync(file, "three\n");
  expect(await read(false)).toBe("three");
  writeFileSync(`${file}.new`, "seven\n");
  renameSync(`${file}.new`, file);
  expect(await read(false)).toBe("seven");
});

test("a file that comes later is read then", async () => {
  rmSync(file);
  await expect(read(false)).rejects.toMatchObject({ code: "no-token", who: file, retryable: true });
  writeFileSync(file, "late");
  expect(await read(false)).toBe("late");
});

test.each(["", "\n", "two words", "caf\u00e9"])(
  "a file with %j holds no token, and what it holds is not shown",
  async (text) => {
    writeFileSync(file, text);
    const fault: unknown = await read(false).catch((thrown: unknown) => thrown);
    expect(fault).toMatchObject({ code: "no-token", message: `the token file ${file} holds no token` });
  },
);
