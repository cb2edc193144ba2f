import { describe, expect, test } from "vitest";

import { caseOf, chunksOf } from "./cases.ts";
import { exchanges } from "./exchanges.ts";
import { fuzz } from "./fuzz.ts";

describe("cases", () => {
  test("are the same for the same seed and number, and others for others", () => {
    expect(caseOf(1, 2, exchanges)).toEqual(caseOf(1, 2, exchanges));
    expect(caseOf(1, 3, exchanges)).not.toEqual(caseOf(1, 2, exchanges));
    expect(caseOf(2, 2, exchanges)).not.toEqual(caseOf(1, 2, exchanges));
  });

  test("are cut without loss, whole and octet by octet among them", () => {
    const cases = Array.from({ length: 500 }, (_, index) => caseOf(7, index, exchanges));
    for (const one of cases) expect(Buffer.concat(chunksOf(one)).equals(Buffer.from(one.bytes))).toBe(true);
    expect(cases.some((one) => one.cuts.length === 0)).toBe(true);
    expect(cases.some((one) => one.bytes.length > 20 && one.cuts.length === one.bytes.length - 1)).toBe(true);
  });
});

test("100,000 mutated streams: no crash, no difference by how they are cut, no leak", {
  timeout: 180_000,
}, async () => {
  const { pure, sockets } = await fuzz(20_260_101, 100_000);
  // Each way a hand-shake can end was gone often.
  const ways = [
    "request",
    "http",
    "refused",
    "no-acceptable-method",
    "not-authenticated",
    "unknown-protocol",
  ];
  for (const way of [...ways, "incomplete"]) expect(pure.tally.get(way)).toBeGreaterThan(500);
  expect(sockets.cases).toBe(1_000);
});
