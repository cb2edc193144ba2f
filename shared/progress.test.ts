import { expect, it } from "vitest";

import { Progress } from "./progress.ts";

function stand() {
  let now = 1000;
  const progress = new Progress(() => now);
  return { progress, pass: (ms: number) => (now += ms) };
}

it("a loop is late once its own bound is over, and no sooner", () => {
  const { progress, pass } = stand();
  progress.beat("engine", 500);
  pass(500);
  expect(progress.overdue()).toEqual([]);
  pass(1);
  expect(progress.overdue()).toEqual([{ loop: "engine", lateMs: 1 }]);
});

it("every beat sets the bound anew, be it longer or shorter than before", () => {
  const { progress, pass } = stand();
  progress.beat("lease", 60_000);
  progress.beat("lease", 100);
  pass(101);
  expect(progress.overdue()).toHaveLength(1);
  progress.beat("lease", 60_000);
  pass(59_000);
  expect(progress.overdue()).toEqual([]);
});

it("one loop that turns hides no other that stands, and the latest is named first", () => {
  const { progress, pass } = stand();
  progress.beat("engine", 100);
  progress.beat("lease", 50);
  progress.beat("addresses", 10_000);
  pass(200);
  expect(progress.overdue().map(({ loop }) => loop)).toEqual(["lease", "engine"]);
});

it("a loop that ended in order is expected no more", () => {
  const { progress, pass } = stand();
  progress.beat("relay", 10);
  progress.end("relay");
  pass(1000);
  expect(progress.overdue()).toEqual([]);
});
