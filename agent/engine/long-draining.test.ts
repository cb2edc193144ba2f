import { expect, test } from "vitest";

import { LongDraining } from "./long-draining.ts";

const run = (name: string, startedAt = "2026-11-22T10:00:00Z") => ({ id: name.repeat(8), name, startedAt });

test("a stop of the usual length is nobody's business", () => {
  const draining = new LongDraining();
  expect(draining.see([run("web")], 1_000)).toEqual([]);
  expect(draining.see([run("web")], 60_999)).toEqual([]);
  expect(draining.see([], 61_000)).toEqual([]);
});

test("one that goes on for a minute is a problem, until it ends or runs anew", () => {
  const draining = new LongDraining();
  draining.see([run("web")], 0);
  expect(draining.see([run("web"), run("db")], 60_000)).toEqual([
    expect.objectContaining({ container: "web", code: "draining" }),
  ]);
  expect(draining.see([run("web", "2026-11-22T11:00:00Z"), run("db")], 61_000)).toEqual([]);
  expect(draining.see([run("db")], 120_000)).toHaveLength(1);
});
