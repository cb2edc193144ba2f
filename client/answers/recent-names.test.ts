import { expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import { RecentNames } from "./recent-names.ts";

const a = parseName("a.test");
const b = parseName("b.test");
const c = parseName("c.test");

test("a name is known since it was noted last", () => {
  const names = new RecentNames(10);
  names.note(a, 1_000);
  names.note(a, 2_000);
  expect(names.wasWithin(a, 500, 2_500)).toBe(true);
  expect(names.wasWithin(a, 499, 2_500)).toBe(false);
  expect(names.wasWithin(b, 1_000_000, 2_500)).toBe(false);
});

test("the one noted longest ago goes when there is no room", () => {
  const names = new RecentNames(2);
  names.note(a, 0);
  names.note(b, 0);
  names.note(a, 0);
  names.note(c, 0);
  expect([a, b, c].map((name) => names.wasWithin(name, 0, 0))).toEqual([true, false, true]);
});
