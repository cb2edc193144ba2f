import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { isJournal } from "./journal.ts";

let dir: string;
let fd: number;
let own: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-j-"));
  fd = openSync(join(dir, "stderr"), "w");
  const { dev, ino } = fstatSync(fd, { bigint: true });
  own = `${dev}:${ino}`;
});
afterAll(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

test("stderr is the journal where JOURNAL_STREAM names its device and inode", () => {
  expect(isJournal(own, fd)).toBe(true);
});

test("it is not where output was led elsewhere since, or nothing is named", () => {
  const [device, inode] = own.split(":");
  for (const stream of [
    undefined,
    "",
    ":",
    device,
    `${device}:`,
    `${inode}:${device}`,
    `${own}0`,
    ` ${own}`,
    "8:1",
  ])
    expect(isJournal(stream, fd)).toBe(false);
});

test("it is not where stderr is closed", () => {
  expect(isJournal(own, 999_999)).toBe(false);
});
