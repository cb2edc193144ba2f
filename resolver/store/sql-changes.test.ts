import { expect, test } from "vitest";
import type { Name } from "../../shared/name.ts";
import { createMemorySql } from "../testing/memory-sql.ts";
import { changesStatements, createStoredChanges } from "./sql-changes.ts";

const change = (revision: number, ...names: string[]) => ({ revision, names: names as Name[], hosts: [] });

/** What a process that wakes up knows of the changes so far; `bounds` are small. */
function open() {
  const sql = createMemorySql(changesStatements);
  const wake = () => createStoredChanges(sql, { changes: 4, names: 3 });
  return { sql, wake, rows: () => sql.all("SELECT revision FROM changes").map((row) => row.revision) };
}

test("a log goes on where the last one was", () => {
  const { wake } = open();
  wake().note(change(7, "a"));
  wake().note(change(8, "b", "c"));
  const log = wake().load("g", 9);
  expect(log.revision).toBe(9);
  expect(log.since("g", 6)).toEqual(["a", "b", "c"]);
  expect(log.since("g", 7)).toEqual(["b", "c"]);
  expect(log.since("g", 9)).toEqual([]);
  expect(log.since("g", 5), "nothing is known of what was before").toBeUndefined();
});

test("a log without changes begins with the present", () => {
  const log = open().wake().load("g", 9);
  expect([log.since("g", 9), log.since("g", 8)]).toEqual([[], undefined]);
});

test("a change of hosts alone leaves no row", () => {
  const { wake, rows } = open();
  wake().note(change(1));
  expect(rows()).toEqual([]);
});

test("a change of more names than are kept is where everybody begins anew", () => {
  const { wake } = open();
  wake().note(change(1, "a"));
  wake().note(change(2, "a", "b", "c", "d"));
  expect(wake().load("g", 2).since("g", 1)).toBeUndefined();
  wake().note(change(3, "e"));
  const log = wake().load("g", 3);
  expect([log.since("g", 1), log.since("g", 2)]).toEqual([undefined, ["e"]]);
});

test("the oldest go, though nobody remembers how many there are", () => {
  const { wake, rows } = open();
  for (let revision = 1; revision <= 20; revision++) {
    wake().note(change(revision, "a"));
    expect(rows().length).toBeLessThanOrEqual(6);
  }
  expect(rows()).toEqual([17, 18, 19, 20]);
  const log = wake().load("g", 20);
  expect([log.since("g", 15), log.since("g", 16)]).toEqual([undefined, ["a"]]);
});
