import { expect, test } from "vitest";

import { RefusalAudit } from "../refusal-audit.ts";
import { refusedEntry } from "../testing/tokens.ts";
import { createWorkerRefusals } from "./refusals.ts";

function open() {
  const written: number[] = [];
  const faults: unknown[] = [];
  const waits: (() => void)[] = [];
  let broken = false;
  const log = {
    record: async (entries: { count: number }[]) => {
      if (broken) throw new Error("away");
      written.push(entries.reduce((sum, { count }) => sum + count, 0));
    },
  };
  const kept: Promise<void>[] = [];
  const refusals = createWorkerRefusals({
    refusals: new RefusalAudit(log),
    wait: () => new Promise((resolve) => waits.push(resolve)),
    onFault: (fault) => faults.push(fault),
  });
  return {
    written,
    faults,
    kept,
    setBroken: (is: boolean) => {
      broken = is;
    },
    request: (isRefused: boolean) => {
      if (isRefused) refusals.note(refusedEntry());
      refusals.flushAfter((work) => kept.push(work));
    },
    /** A second passes for whoever waits. */
    async second() {
      await settled();
      for (const wake of waits.splice(0)) wake();
      await settled();
    },
  };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test("a request that was not refused costs nothing", () => {
  const { request, kept } = open();
  request(false);
  expect(kept).toEqual([]);
});

test("the first refusal is written at once, those of the next second together", async () => {
  const { request, written, second, kept } = open();
  request(true);
  await settled();
  expect(written).toEqual([1]);
  for (let count = 0; count < 5; count++) request(true);
  await settled();
  expect(written).toEqual([1]);
  await second();
  expect(written).toEqual([1, 5]);
  await second();
  await Promise.all(kept);
  expect(kept).toHaveLength(1);
});

test("what cannot be written stays noted, and is written with the next", async () => {
  const { request, written, second, faults, setBroken } = open();
  setBroken(true);
  request(true);
  await second();
  expect(faults).toHaveLength(1);
  setBroken(false);
  request(true);
  await settled();
  expect(written).toEqual([2]);
});

test("a reply holds its request open no longer than ten seconds, however many are refused", async () => {
  const { request, second, kept } = open();
  request(true);
  for (let round = 0; round < 10; round++) {
    await settled();
    request(true);
    await second();
  }
  await Promise.all(kept);
  request(true);
  expect(kept).toHaveLength(2);
});
