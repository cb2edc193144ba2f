import { describe, expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import { ChangeLog } from "./change-log.ts";

const name = (label: string) => parseName(`${label}.berth.internal`);
const change = (revision: number, ...labels: string[]) => ({ revision, names: labels.map(name), hosts: [] });

function logWith(...changes: ReturnType<typeof change>[]): ChangeLog {
  const log = new ChangeLog("g", 10);
  for (const one of changes) log.note(one);
  return log;
}

describe("the names that changed since a revision", () => {
  test("are those of all later changes, each once, sorted", () => {
    const log = logWith(change(11, "b"), change(12, "c", "a"), change(15, "b"));
    expect(log.since("g", 10)).toEqual([name("a"), name("b"), name("c")]);
    expect(log.since("g", 11)).toEqual([name("a"), name("b"), name("c")]);
    expect(log.since("g", 12)).toEqual([name("b")]);
    // Between two changes that touched names.
    expect(log.since("g", 14)).toEqual([name("b")]);
  });

  test("are none for who has seen the newest", () => {
    const log = logWith(change(11, "a"), change(12));
    expect(log.revision).toBe(12);
    expect(log.since("g", 11)).toEqual([]);
    expect(log.since("g", 12)).toEqual([]);
  });

  test("are told to who has seen another change of the same revision", () => {
    const log = logWith(change(11, "a"));
    const seen = log.revision;
    log.note(change(11, "b"));
    expect(log.since("g", seen)).toEqual([name("b")]);
    log.note(change(12));
    log.note(change(12, "c"));
    expect(log.since("g", 12)).toEqual([name("c")]);
    log.note(change(20, "d"));
    expect([log.revision, log.since("g", 19)]).toEqual([20, [name("d")]]);
  });

  test("are not known from before the log began, nor of another generation", () => {
    const log = logWith(change(11, "a"));
    expect(log.since("g", 9)).toBeUndefined();
    expect(log.since("other", 11)).toBeUndefined();
  });

  test("are not known after a restart, of either generation's past", () => {
    const log = logWith(change(11, "a"));
    log.restart("h", 5);
    expect([log.generation, log.revision]).toEqual(["h", 5]);
    expect(log.since("g", 11)).toBeUndefined();
    expect(log.since("h", 4)).toBeUndefined();
    log.note(change(6, "b"));
    expect(log.since("h", 5)).toEqual([name("b")]);
  });
});

describe("what is kept", () => {
  test("is so many changes: who knows none of the kept ones starts anew", () => {
    const log = new ChangeLog("g", 0, { changes: 3, names: 100 });
    for (let revision = 1; revision <= 5; revision++) log.note(change(revision, `n${revision}`));
    expect(log.since("g", 1)).toBeUndefined();
    expect(log.since("g", 2)).toEqual([name("n3"), name("n4"), name("n5")]);
  });

  test("is so many names, and a change of more is not kept at all", () => {
    const log = new ChangeLog("g", 0, { changes: 100, names: 4 });
    log.note(change(1, "a", "b", "c"));
    log.note(change(2, "d", "e"));
    expect(log.since("g", 0)).toBeUndefined();
    expect(log.since("g", 1)).toEqual([name("d"), name("e")]);
    log.note(change(3, "a", "b", "c", "d", "e"));
    expect(log.since("g", 2)).toBeUndefined();
    expect(log.since("g", 3)).toEqual([]);
    log.note(change(4, "a"));
    expect(log.since("g", 3)).toEqual([name("a")]);
  });

  test("is not pushed out by changes that touch no name", () => {
    const log = new ChangeLog("g", 0, { changes: 2, names: 100 });
    log.note(change(1, "a"));
    for (let revision = 2; revision < 50; revision++) log.note(change(revision));
    expect(log.since("g", 0)).toEqual([name("a")]);
  });
});

describe("listeners", () => {
  test("are called after every change of names and a restart, until they leave", () => {
    const log = logWith();
    const seen: (number | string)[] = [];
    const leave = log.subscribe(() => seen.push(log.revision));
    log.note(change(11, "a"));
    log.note(change(12));
    log.note(change(13, "b"));
    log.restart("h", 1);
    leave();
    leave();
    log.note(change(2, "c"));
    expect(seen).toEqual([11, 13, 1]);
    expect(log.listeners).toBe(0);
  });

  test("are told apart, be they the same function", () => {
    const log = logWith();
    let calls = 0;
    const listener = () => void calls++;
    const leave = log.subscribe(listener);
    log.subscribe(listener);
    leave();
    log.note(change(11, "a"));
    expect(calls).toBe(1);
  });
});
