import { expect, it } from "vitest";

import { historyAfter, isOverdue, nextProbeMs, unchecked } from "./check-state.ts";

const steady = historyAfter(unchecked, true);

function statesAfter(probes: string): string[] {
  let history = unchecked;
  return [...probes].map((probe) => {
    history = historyAfter(history, probe === "+");
    return history.state;
  });
}

it("takes one success for healthy, and three failures in a row for unhealthy", () => {
  expect(statesAfter("+--+---")).toEqual([
    "healthy",
    "healthy",
    "healthy",
    "healthy",
    "healthy",
    "healthy",
    "unhealthy",
  ]);
});

it("says starting until the first success, however late that is", () => {
  expect(statesAfter("---+")).toEqual(["starting", "starting", "starting", "healthy"]);
  expect(statesAfter(`${"-".repeat(100)}+`).slice(-2)).toEqual(["starting", "healthy"]);
});

it("is overdue after thirty failures, and asked at its own pace from then on", () => {
  let history = unchecked;
  for (let probe = 0; probe < 29; probe++) history = historyAfter(history, false);
  expect(isOverdue(history)).toBe(false);
  expect(nextProbeMs(history, 10_000, 0, 0.5)).toBeCloseTo(1_000);
  history = historyAfter(history, false);
  expect(isOverdue(history)).toBe(true);
  expect(nextProbeMs(history, 10_000, 0, 0.5)).toBeCloseTo(10_000);
  expect(isOverdue(historyAfter(history, true))).toBe(false);
});

it("asks what has only just started each second", () => {
  expect(nextProbeMs(unchecked, 10_000, 0, 0.5)).toBeCloseTo(1_000);
  expect(nextProbeMs(historyAfter(unchecked, true), 10_000, 0, 0.5)).toBeCloseTo(10_000);
});

it("is healthy again at the first success, however long it was not", () => {
  expect(statesAfter(`+${"-".repeat(40)}+`).slice(-2)).toEqual(["unhealthy", "healthy"]);
});

it("spreads the interval by a tenth to either side and takes off what the probe took", () => {
  expect(nextProbeMs(steady, 10_000, 0, 0)).toBeCloseTo(9_000);
  expect(nextProbeMs(steady, 10_000, 0, 1)).toBeCloseTo(11_000);
  expect(nextProbeMs(steady, 10_000, 3_000, 0.5)).toBeCloseTo(7_000);
  expect(nextProbeMs(steady, 2_000, 3_000, 0.5)).toBe(0);
});

it("probes no more often than each second, whatever is asked for", () => {
  expect(nextProbeMs(steady, 1, 0, 0.5)).toBeCloseTo(1_000);
});
