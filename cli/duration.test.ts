import { expect, test } from "vitest";

import { durationOption, parseDuration } from "./duration.ts";

test.each([
  ["90d", 7_776_000],
  ["12h", 43_200],
  ["30m", 1800],
  ["45s", 45],
  ["3600", 3600],
  ["3650d", 315_360_000],
  ["never", null],
])("%s is a time", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(["", "0", "0d", "-1", "1.5h", "90 d", "1w", "d", "3651d", "99999999999", "1e3", "Never"])(
  '"%s" is none',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
    const parsed = durationOption("never").safeParse(text);
    expect(parsed.error?.issues[0]?.message).toMatch(/is not a time such as 90d/);
  },
);

test("what is not given is the standard", () => {
  expect(durationOption("never").parse(undefined)).toBeNull();
  expect(durationOption("1h").parse(undefined)).toBe(3600);
});
