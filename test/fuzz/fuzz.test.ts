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

/** Others every time, so that time after time more has been tried; a failure names its seed, which runs the same again. */
const seed = Number(process.env.BERTH_FUZZ_SEED ?? Date.now() % 2 ** 31);

test(`100,000 mutated streams, seed ${seed}: no crash, no difference by how they are cut, no leak`, {
  timeout: 180_000,
}, async () => {
  const { pure, http, sockets } = await fuzz(seed, 100_000);
  // Each way a hand-shake or an HTTP request can end was gone often.
  const ways = [
    "request",
    "http",
    "refused",
    "no-acceptable-method",
    "not-authenticated",
    "unknown-protocol",
  ];
  for (const way of [...ways, "incomplete"])
    expect(pure.tally.get(way), `${way}, seed ${seed}`).toBeGreaterThan(500);
  for (const [way, times] of Object.entries(httpWays))
    expect(http.tally.get(way), `${way}, seed ${seed}`).toBeGreaterThan(times);
  expect(sockets.cases).toBe(1_000);
});

/** Replies and how often each came at least, of some 33,000. */
const httpWays = {
  "HTTP tunnel": 200,
  ...{ "HTTP/1.1 200": 500, "HTTP/1.1 400": 5_000, "HTTP/1.1 407": 500, "HTTP/1.1 502": 500 },
  ...{ "HTTP/1.1 101": 5, "HTTP/1.1 103": 50, "HTTP/1.1 204": 50, "HTTP/1.1 304": 50 },
  ...{ "HTTP/1.1 403": 50, "HTTP/1.1 503": 50, "HTTP/1.1 504": 50 },
};

test("3,000 streams that are the same every time", { timeout: 60_000 }, async () => {
  await fuzz(20_260_101, 3_000);
});
