import { expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { createSparingLog } from "./sparing-log.ts";

function bed() {
  const lines: string[] = [];
  const clock = { now: 0 };
  const log = createSparingLog(
    createLog("resolver", "debug", (line) => lines.push(line)),
    () => clock.now,
  );
  return { lines, clock, log };
}

test("the same fault stands in the log once a minute, with how often it was left out", () => {
  const { lines, clock, log } = bed();
  for (let count = 0; count < 5; count++) log.error("the disk is full");
  log.warn("another");
  clock.now = 59_999;
  log.error("the disk is full");
  clock.now = 60_000;
  log.error("the disk is full");
  clock.now = 120_000;
  log.error("the disk is full");
  expect(lines).toEqual([
    "error resolver: the disk is full",
    "warn  resolver: another",
    "error resolver: the disk is full (and 5 times before)",
    "error resolver: the disk is full",
  ]);
});

test("what an operator is told is never left out", () => {
  const { lines, log } = bed();
  log.info("listening");
  log.info("listening");
  expect(lines).toHaveLength(2);
});

test("a flood of different faults costs no memory: the oldest is forgotten", () => {
  const { lines, log } = bed();
  for (let number = 0; number <= 100; number++) log.error(`fault ${number}`);
  log.error("fault 100");
  log.error("fault 0");
  expect(lines).toHaveLength(102);
});
