import { expect, test } from "vitest";

import { type Bar, verdictsOf } from "./bar.ts";
import { summarize } from "./measure.ts";

const row = { what: "a row", unit: "ms", summary: summarize([10, 20, 30]) };
const texts = (bars: Bar[], more: object = {}) =>
  verdictsOf({ ...row, ...more, bars }).map(({ text }) => text);

test("a bar is met up to its limit, and missed beyond it", () => {
  expect(texts([{ of: "median", atMost: 20 }])).toEqual(["median ≤ 20: met"]);
  expect(texts([{ of: "median", atMost: 19 }])).toEqual(["median ≤ 19: missed"]);
  const ratio = { to: "other", summary: summarize([1.4]) };
  expect(texts([{ of: "ratio", atLeast: 1.4 }], { ratio })).toEqual(["ratio ≥ 1.4: met"]);
  expect(texts([{ of: "ratio", atLeast: 1.5 }], { ratio })).toEqual(["ratio ≥ 1.5: missed"]);
});

test("too few values, or nothing to compare with, are neither", () => {
  expect(verdictsOf({ ...row, bars: [{ of: "p99", atMost: 1 }] })).toEqual([
    { text: "p99 ≤ 1: not judged", isMet: undefined },
  ]);
  expect(texts([{ of: "ratio", atLeast: 1 }])).toEqual(["ratio ≥ 1: not judged"]);
  const many = summarize(Array.from({ length: 100 }, (_, index) => index));
  expect(texts([{ of: "p99", atMost: 99 }], { summary: many })).toEqual(["p99 ≤ 99: met"]);
});

test("a row without a bar has no verdict", () => {
  expect(verdictsOf(row)).toEqual([]);
});
