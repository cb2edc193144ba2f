import { expect, test } from "vitest";

import { createLineLimit } from "./line-limit.ts";

test.each([1, 3])("%i a second pass, and the next one after says how many did not", (perSecond) => {
  let now = 5_000;
  const admit = createLineLimit(perSecond, () => now);
  for (let i = 0; i < perSecond; i++) expect(admit("turned away")).toBe("turned away");
  now += 999;
  expect(admit("turned away")).toBeUndefined();
  expect(admit("turned away")).toBeUndefined();
  now += 1;
  expect(admit("again")).toBe("again (2 others before it are not shown)");
  now += 1_000;
  expect(admit("once more")).toBe("once more");
});

test("a window may be longer than a second", () => {
  let now = 0;
  const admit = createLineLimit(1, () => now, 60_000);
  expect(admit("first")).toBe("first");
  now = 59_999;
  expect(admit("second")).toBeUndefined();
  now = 60_000;
  expect(admit("third")).toBe("third (1 others before it are not shown)");
});

test("a second begins with a line, however long nothing came", () => {
  let now = 0;
  const admit = createLineLimit(1, () => now);
  expect(admit("first")).toBe("first");
  now = 10_900;
  expect(admit("second")).toBe("second");
  now = 11_100;
  expect(admit("third")).toBeUndefined();
});
