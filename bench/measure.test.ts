import { expect, test } from "vitest";

import { interleave, median, ratio, summarize } from "./measure.ts";

test("a summary keeps every run, whatever the order they came in", () => {
  const summary = summarize([30, 10, 20]);
  expect(summary).toEqual({ count: 3, median: 20, min: 10, max: 30, p99: 30, spread: 1 });
});

test("the median of an even count lies between the two middle values", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
});

test("p99 is a value that occurred: the largest one below a hundred values, the last but one at two hundred", () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  expect(summarize(upTo(30)).p99).toBe(30);
  expect(summarize(upTo(200)).p99).toBe(198);
});

test("nothing measured, or something that is no number, is a fault and not a zero", () => {
  expect(() => summarize([])).toThrow(/nothing to summarize/);
  expect(() => summarize([1, Number.NaN])).toThrow(/nothing to summarize/);
  expect(() => summarize([1, 1 / 0])).toThrow(/nothing to summarize/);
});

test("rounds alternate their order, and warm-up rounds are run but not counted", async () => {
  const order: string[] = [];
  const side = (name: string) => async () => order.push(name);
  const taken = await interleave({ a: side("a"), b: side("b") }, { warmUp: 1, counted: 2 });
  expect(order.join("")).toBe("abbaab");
  expect(taken).toEqual({ a: [4, 5], b: [3, 6] });
});

test("a ratio is taken round by round, so a slow minute cancels out", () => {
  expect(ratio([10, 5, 20], [20, 10, 40])).toMatchObject({ median: 0.5, spread: 0 });
  expect(() => ratio([1, 2], [1])).toThrow(/cannot be paired/);
});
