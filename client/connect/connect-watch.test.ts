import { beforeEach, expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import type { Destination } from "../answers/destination.ts";
import type { Resolution } from "../answers/resolution.ts";
import { type ScriptedStub, scriptedStub } from "../testing/scripted-stub.ts";
import { ConnectWatches, type Waiter } from "./connect-watch.ts";

const name = parseName("web.berth.internal");
const web: Destination = { kind: "name", name: "web.berth.internal", port: 80 };
const gone: Resolution = { kind: "not-found", reason: "gone" };

let stub: ScriptedStub;
let watches: ConnectWatches;
let now: number;
let timers: { at: number; run: () => void }[];

beforeEach(() => {
  now = 0;
  timers = [];
  stub = scriptedStub(gone);
  // In the middle, so that the waits are as long as they are named.
  watches = new ConnectWatches(stub, 5_000, { now: () => now, random: () => 0.5, after });
});

test("a name is asked for at once, then after waits that grow from 200 ms to 1 s", async () => {
  join();
  await answered();
  const askedAt = [0];
  while (askedAt.length < 7) {
    const before = stub.asked.fresh;
    await pass(1);
    if (stub.asked.fresh > before) askedAt.push(now);
  }
  const waits = askedAt.slice(1).map((at, index) => at - (askedAt[index] ?? 0));
  expect(waits).toEqual([200, 300, 450, 675, 1_000, 1_000]);
});

test("each waiter is told each answer, and a later one waits for a later answer", async () => {
  const early = join();
  await answered();
  const late = join();
  expect([early.answers, late.answers]).toEqual([[gone], []]);
  await pass(49);
  expect(late.answers).toEqual([]);
  await pass(1);
  expect([early.answers.length, late.answers.length]).toEqual([2, 1]);
});

test("one that comes during a question has the next one 50 ms later: that answer may be older than it", async () => {
  join();
  const late = join();
  await answered();
  expect(late.answers).toHaveLength(1);
  await pass(50);
  expect(late.answers).toHaveLength(2);
});

test("however many come, there are no more questions than one in 50 ms", async () => {
  for (let ms = 0; ms < 1_000; ms++) {
    join();
    await pass(1);
  }
  expect(stub.asked.fresh).toBeGreaterThanOrEqual(18);
  expect(stub.asked.fresh).toBeLessThanOrEqual(21);
});

test("one that comes when the last question is long past has a new one at once", async () => {
  join();
  await answered();
  await pass(1_150);
  const { fresh } = stub.asked;
  const late = join();
  await answered();
  expect(stub.asked.fresh).toBe(fresh + 1);
  expect(late.answers).toEqual([gone]);
});

test("a change has it asked at once, and from 200 ms again", async () => {
  join();
  await answered();
  await pass(2_000);
  const { fresh } = stub.asked;
  watches.changed(new Set([name]));
  await answered();
  expect(stub.asked.fresh).toBe(fresh + 1);
  await pass(200);
  expect(stub.asked.fresh).toBe(fresh + 2);
});

test("a change of other names is nothing to it", async () => {
  join();
  await answered();
  watches.changed(new Set([parseName("other.berth.internal")]));
  expect(stub.asked.fresh).toBe(1);
});

test("a change during a question has it asked again, because its answer may be older", async () => {
  const waiter = join();
  watches.changed("all");
  await answered();
  expect(stub.asked.fresh).toBe(2);
  expect(waiter.answers).toHaveLength(2);
});

test("a question without an answer ends in time, and is no answer", async () => {
  stub.now = "silence";
  const waiter = join();
  await pass(4_999);
  expect(waiter.answers).toEqual([]);
  await pass(1);
  expect(waiter.answers).toMatchObject([{ kind: "no-answer" }]);
});

test("one waiter every 100 ms may try again, each in its turn", async () => {
  const waiters = [join(), join(), join()];
  await answered();
  for (let turn = 0; turn < 4; turn++) await pass(100);
  expect(waiters.map(({ retries }) => retries)).toEqual([2, 1, 1]);
});

test("one that has nothing to try leaves its turn to the next", async () => {
  const [busy, idle] = [join(false), join()];
  await answered();
  await pass(100);
  expect([busy.retries, idle.retries]).toEqual([1, 1]);
});

test("a connection has all who wait for the same port try, and nobody else", async () => {
  const [one, two] = [join(), join()];
  const other = join(true, { ...web, port: 443 });
  await answered();
  watches.connected(name, 80);
  expect([one, two, other].map(({ retries }) => retries)).toEqual([1, 1, 0]);
});

test("when the last waiter goes, the question is called off and nothing is left", async () => {
  stub.now = "silence";
  const waiters = [join(), join()];
  expect(watches.size).toBe(1);
  for (const { leave } of waiters) leave();
  expect(watches.size).toBe(0);
  await answered();
  expect([stub.waiting, timers.length]).toEqual([0, 0]);
});

function join(hasWork = true, destination = web) {
  const answers: Resolution[] = [];
  const waiter: Waiter & { retries: number } = {
    retries: 0,
    answered: (resolution) => void answers.push(resolution),
    retry() {
      waiter.retries++;
      return hasWork;
    },
  };
  const leave = watches.join(name, destination, waiter);
  return {
    answers,
    leave,
    get retries() {
      return waiter.retries;
    },
  };
}

function after(ms: number, run: () => void): () => void {
  const timer = { at: now + ms, run };
  timers.push(timer);
  return () => {
    timers = timers.filter((other) => other !== timer);
  };
}

/** Lets time go by, timer by timer. */
async function pass(ms: number): Promise<void> {
  const end = now + ms;
  for (;;) {
    const [next] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
    if (next === undefined) break;
    now = next.at;
    timers = timers.filter((timer) => timer !== next);
    next.run();
    await answered();
  }
  now = end;
}

/** Lets what has been answered arrive. */
async function answered(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
