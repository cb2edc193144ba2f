import { describe, expect, test } from "vitest";

import { ResolverChoice } from "./resolver-choice.ts";

const a = "https://a.example";
const b = "https://b.example";
const c = "https://c.example";

test("the first one is asked first", () => {
  expect(new ResolverChoice([a, b]).current()).toBe(a);
});

test("without any there is no choice", () => {
  expect(() => new ResolverChoice([])).toThrow(RangeError);
});

test("one alone stays, however often it fails", () => {
  const choice = new ResolverChoice([a]);
  for (let now = 0; now < 5000; now += 100) choice.failed(a, now);
  expect(choice.current()).toBe(a);
  expect(choice.order(5000)).toEqual([a]);
});

describe("a resolver that failed", () => {
  test("hands over to the next one, which is kept to even when the first may be tried again", () => {
    const choice = new ResolverChoice([a, b, c]);
    choice.failed(a, 0);
    expect(choice.current()).toBe(b);
    choice.worked(b);
    expect(choice.order(1_000_000)).toEqual([b, a, c]);
  });

  test("is passed over while another one is left, then tried again", () => {
    const choice = new ResolverChoice([a, b, c]);
    choice.failed(a, 0);
    choice.failed(b, 500);
    expect(choice.current()).toBe(c);
    choice.failed(c, 999);
    expect(choice.current()).toBe(a);
    expect(choice.order(999)).toEqual([a, b, c]);
  });

  test("waits twice as long after each failure in a row, up to a minute", () => {
    const waits: number[] = [];
    for (let failures = 1; failures <= 8; failures++) waits.push(waitAfter(failures));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  test("failed once, however many requests were under way", () => {
    const choice = new ResolverChoice([a, b, c]);
    choice.failed(a, 0);
    for (let request = 0; request < 10; request++) choice.failed(a, 10);
    choice.failed(b, 10);
    // Its wait is still the first one, so it comes before b again.
    expect(choice.order(1000)).toEqual([c, a, b]);
  });

  test("does not take the turn of another one by failing late", () => {
    const choice = new ResolverChoice([a, b, c]);
    choice.failed(a, 0);
    choice.worked(b);
    choice.failed(a, 5000);
    expect(choice.current()).toBe(b);
  });

  test("is as good as new once it worked", () => {
    const choice = new ResolverChoice([a, b, c]);
    choice.failed(a, 0);
    choice.failed(a, 1000);
    choice.worked(a);
    expect(choice.current()).toBe(a);
    choice.failed(a, 1001);
    choice.worked(b);
    // Its wait was the first one again.
    expect(choice.order(2000)).toEqual([b, c, a]);
    expect(choice.order(2001)).toEqual([b, a, c]);
  });
});

test("when all failed, the one whose wait ends first is current", () => {
  const choice = new ResolverChoice([a, b]);
  choice.failed(a, 0);
  choice.failed(a, 1000);
  choice.failed(b, 1500);
  // b's wait ends at 2500, a's at 3000.
  expect(choice.current()).toBe(b);
  expect(choice.order(1500)).toEqual([b, a]);
});

test("it tells how each one is, and why one is failing as far as that is known", () => {
  const choice = new ResolverChoice([a, b, c]);
  expect(choice.isFailing()).toBe(false);
  choice.failed(a, 0, "silence");
  choice.failed(c, 0);
  choice.failed(a, 1, "SERVFAIL");
  expect(choice.states()).toEqual([
    { url: a, state: "failing", fault: "SERVFAIL" },
    { url: b, state: "current" },
    { url: c, state: "failing" },
  ]);
  expect(choice.isFailing()).toBe(false);
  choice.failed(b, 0, "refused");
  expect(choice.isFailing()).toBe(true);
  choice.worked(c);
  expect(choice.isFailing()).toBe(false);
  expect(choice.states().map(({ state }) => state)).toEqual(["failing", "failing", "current"]);
  choice.worked(b);
  expect(choice.states().map(({ state }) => state)).toEqual(["failing", "current", "standby"]);
});

/** Milliseconds until `a` may be tried before `b`, which has failed without end. */
function waitAfter(failures: number): number {
  const choice = new ResolverChoice([c, a, b]);
  for (let failure = 1; failure <= failures; failure++) choice.failed(a, failure * 100_000);
  const now = failures * 100_000;
  let wait = 0;
  // Only one that is not passed over comes before b, which never failed.
  while (choice.order(now + wait)[1] !== a && wait < 100_000) wait += 100;
  return wait;
}
