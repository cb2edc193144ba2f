import { expect, test } from "vitest";

import { Allowance } from "./allowance.ts";

function takenOf(allowance: Allowance, asked: number): number {
  return Array.from({ length: asked }, () => allowance.take()).filter(Boolean).length;
}

test("a second's worth can be taken at once, and no more", () => {
  expect(takenOf(new Allowance(4, () => 0), 60)).toBe(4);
});

test("what was taken comes back one by one", () => {
  let now = 1_000;
  const allowance = new Allowance(4, () => now);
  takenOf(allowance, 4);
  now += 249;
  expect(allowance.take()).toBe(false);
  now += 1;
  expect(takenOf(allowance, 60)).toBe(1);
});

test("nothing is saved up beyond a second's worth", () => {
  let now = 0;
  const allowance = new Allowance(4, () => now);
  now = 3_600_000;
  expect(takenOf(allowance, 60)).toBe(4);
});
