import { expect, test } from "vitest";

import { Turn } from "./turn.ts";

test("every request counts", () => {
  const turn = new Turn();
  expect([turn.next(), turn.next()]).toEqual([
    { epoch: 1, sequence: 1 },
    { epoch: 1, sequence: 2 },
  ]);
});

test("a new process goes above the one it follows, once, whatever is left of its lease", () => {
  const turn = new Turn();
  expect(turn.raiseAbove(7, 12)).toBe(true);
  expect(turn.next().epoch).toBe(8);
  expect(turn.raiseAbove(8, 12)).toBe(false);
});

test("one whose push was taken goes above another only when that one's lease is over", () => {
  const turn = new Turn();
  turn.settle();
  expect(turn.raiseAbove(2, 1)).toBe(false);
  expect(turn.raiseAbove(2, undefined)).toBe(false);
  expect(turn.raiseAbove(2, 0)).toBe(true);
  expect(turn.next().epoch).toBe(3);
});

test("raised in vain, it is not raised again before it has stepped back", () => {
  const turn = new Turn();
  turn.raiseAbove(2, 0);
  expect(turn.raiseAbove(3, 0)).toBe(false);
  turn.stepBack();
  expect(turn.raiseAbove(3, 0)).toBe(true);
});

test("raised and taken, it may follow the next one as well", () => {
  const turn = new Turn();
  turn.raiseAbove(2, 0);
  turn.settle();
  expect(turn.raiseAbove(5, 0)).toBe(true);
  expect(turn.next().epoch).toBe(6);
});

test("stepped back, every request asks with the lowest turn: it never overtakes one of the same epoch", () => {
  const turn = new Turn();
  turn.raiseAbove(1, 9);
  turn.next();
  for (let asked = 0; asked < 3; asked++) {
    turn.stepBack();
    expect(turn.next()).toEqual({ epoch: 1, sequence: 1 });
  }
});

test.each([undefined, "7", 1.5, Number.MAX_SAFE_INTEGER])("no epoch follows %j", (held) => {
  expect(new Turn().raiseAbove(held, 0)).toBe(false);
});
