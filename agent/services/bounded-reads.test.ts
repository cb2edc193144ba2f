import { expect, it } from "vitest";

import { FakeClock, settle } from "../testing/fake-clock.ts";
import { BoundedReads } from "./bounded-reads.ts";

it("waits as long as calls are answered, those of work before it as well, and ten seconds more", async () => {
  const clock = new FakeClock();
  const reads = new BoundedReads<string>({ clock, limitMs: 10_000, mostMs: 50_000, onLate: () => {} });
  const calls = [1, 2, 3, 4].map(() => Promise.withResolvers<void>());
  const run = async (some: typeof calls): Promise<string> => {
    for (const { promise } of some) await reads.heard(promise);
    return "read";
  };
  void reads.inTurn(() => run(calls.slice(0, 2)));
  let outcome: string | undefined | "none yet" = "none yet";
  const result = reads
    .result(() => run(calls.slice(2)))
    .then((found) => {
      outcome = found;
    });
  for (const { resolve } of calls.slice(0, 3)) {
    await clock.advance(9_000);
    resolve();
    await settle();
  }
  await clock.advance(9_900);
  expect(outcome).toBe("none yet");
  await clock.advance(100);
  await result;
  expect(outcome).toBeUndefined();
});

it("tells what came late, once, in place of other work", async () => {
  const clock = new FakeClock();
  let told = 0;
  const reads = new BoundedReads<string>({
    clock,
    limitMs: 10_000,
    mostMs: 50_000,
    onLate: () => (told += 1),
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  let begun = 0;
  const begin = (work: Promise<string>) => async () => {
    begun += 1;
    return work;
  };
  const late = reads.result(begin(promise));
  await clock.advance(10_000);
  expect(await late).toBeUndefined();
  expect(await reads.result(begin(promise))).toBeUndefined();
  resolve("late");
  await settle();
  expect(told).toBe(1);
  expect(await reads.result(begin(Promise.resolve("new")))).toBe("late");
  expect(begun).toBe(1);
  expect(await reads.result(begin(Promise.resolve("new")))).toBe("new");
});

it("waits no longer than it may in all, however often calls are answered", async () => {
  const clock = new FakeClock();
  const reads = new BoundedReads<string>({ clock, limitMs: 10_000, mostMs: 50_000, onLate: () => {} });
  const never = new Promise<string>(() => {});
  let isOver = false;
  const result = reads
    .result(() => never)
    .finally(() => {
      isOver = true;
    });
  for (let turn = 0; turn < 9; turn++) {
    await clock.advance(5_000);
    await reads.heard(Promise.resolve());
  }
  expect(isOver).toBe(false);
  await clock.advance(5_000);
  expect(await result).toBeUndefined();
});
