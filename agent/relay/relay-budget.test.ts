import { beforeEach, expect, it } from "vitest";

import { RecordedLog } from "../testing/recorded-log.ts";
import { RelayBudget } from "./relay-budget.ts";

let log: RecordedLog;
let budget: RelayBudget;

beforeEach(() => {
  log = new RecordedLog();
  budget = new RelayBudget(20, log);
});

it("gives no more than there are, and again what came back", () => {
  const taken = clients(10, 2);
  expect(taken.every((giveBack) => giveBack !== undefined)).toBe(true);
  expect(budget.take("late", 1)).toBeUndefined();
  taken[0]?.();
  expect(budget.take("late", 2)).toBeDefined();
  expect(budget.take("later", 1)).toBeUndefined();
});

it("gives one client address half of them, and leaves the others theirs", () => {
  for (let count = 0; count < 5; count++) expect(budget.take("greedy", 2)).toBeDefined();
  expect(budget.take("greedy", 1)).toBeUndefined();
  expect(budget.take("other", 10)).toBeDefined();
});

it("takes back once, however often it is told", () => {
  const giveBack = budget.take("a", 10);
  giveBack?.();
  giveBack?.();
  expect(budget.take("a", 10)).toBeDefined();
  expect(budget.take("b", 10)).toBeDefined();
  expect(budget.take("c", 1)).toBeUndefined();
});

it("says once that all are taken, and once that there is room again, with room to spare", () => {
  const taken = clients(10, 2);
  for (let count = 0; count < 50; count++) {
    budget.take("late", 1);
    taken.pop()?.();
    taken.push(budget.take("late", 2));
  }
  expect(log.lines).toEqual([
    "warn relays have taken all of the 20 descriptors that relays may take together; further connections are refused until some end",
  ]);
  for (const giveBack of taken.slice(0, 2)) giveBack?.();
  expect(log.lines).toHaveLength(1);
  taken[2]?.();
  expect(log.matching(/^info relays have room for clients again$/)).toHaveLength(1);
  expect(log.lines).toHaveLength(2);
});

it("says once which client has its half, until it has given some back", () => {
  const taken = Array.from({ length: 5 }, () => budget.take("10.0.0.9", 2));
  for (let count = 0; count < 50; count++) budget.take("10.0.0.9", 2);
  expect(log.lines).toEqual([
    expect.stringMatching(/^warn 10\.0\.0\.9 has taken half of the 20 descriptors/),
  ]);
  for (const giveBack of clients(3, 1)) giveBack?.();
  expect(log.lines).toHaveLength(1);
  taken[0]?.();
  expect(log.lines).toHaveLength(1);
  taken[1]?.();
  expect(log.matching(/room for clients again/)).toHaveLength(1);
});

function clients(count: number, each: number): ((() => void) | undefined)[] {
  return Array.from({ length: count }, (_, index) => budget.take(`c${index}`, each));
}
