import { expect, test } from "vitest";

import { minuteOf, tableLines } from "./table.ts";

test("columns are as wide as their widest cell, and no line ends in spaces", () => {
  const rows = [
    ["a", "", ""],
    ["bb", "long cell", "x"],
  ];
  expect(tableLines(["ID", "WHAT", "MORE"], rows)).toEqual(["ID  WHAT       MORE", "a", "bb  long cell  x"]);
});

test("a cell cannot command the terminal, nor begin a line", () => {
  expect(tableLines(["X"], [["a\u001b[2J\nforged"]])).toEqual(["X", "a [2J forged"]);
});

test("times are in UTC, to the minute", () => {
  expect(minuteOf(Date.UTC(2026, 0, 2, 3, 4, 59))).toBe("2026-01-02 03:04Z");
});
