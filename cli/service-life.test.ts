import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Progress } from "../shared/progress.ts";
import type { Running } from "./command.ts";
import { serve } from "./service-life.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A service under a systemd that wants a sign of life every 10 s, and what it was told, line by line. */
function stand(parts: Omit<Running, "close"> = {}) {
  const told: string[] = [];
  const logged: string[] = [];
  const ended = Promise.withResolvers<void>();
  let hangUp: (() => void) | undefined;
  const note = (level: string) => (message: string) => logged.push(`${level}: ${message}`);
  const served = serve(
    { ...parts, close: async () => void told.push("closed") },
    {
      manager: { tell: async (...lines) => void told.push(...lines), watchdogMs: 10_000 },
      ended: ended.promise,
      onHangUp: (reload) => {
        hangUp = reload;
      },
      log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    },
  );
  const reload = () => (hangUp === undefined ? expect.fail("SIGHUP means the end") : hangUp());
  return { told, logged, end: ended.resolve, served, reload, hasReload: () => hangUp !== undefined };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const signsOfLife = (told: string[]) => told.filter((line) => line === "WATCHDOG=1").length;

it("says ready once it runs, and stopping before it closes", async () => {
  const { told, end, served } = stand();
  await pass(0);
  expect(told).toEqual(["READY=1", "STATUS=at work"]);
  end();
  await served;
  expect(told.slice(2)).toEqual(["STOPPING=1", "closed"]);
});

it("gives two signs of life in the watchdog's time, and none after its end", async () => {
  const { told, end, served } = stand();
  await pass(20_000);
  expect(signsOfLife(told)).toBe(4);
  end();
  await served;
  await pass(20_000);
  expect(signsOfLife(told)).toBe(4);
});

it("gives no sign of life while a loop stands still, says which once, and goes on with the loop", async () => {
  const progress = new Progress(() => Date.now());
  progress.beat("engine", 6000);
  const { told, logged } = stand({ progress });
  await pass(30_000);
  expect(signsOfLife(told)).toBe(1);
  expect(logged).toEqual([
    expect.stringMatching(/^error: engine stands still, 4000 ms late; unless .* restarts/),
  ]);
  progress.beat("engine", 60_000);
  // Looked at sooner than usual: half of the watchdog's time is gone already.
  await pass(1000);
  expect(signsOfLife(told)).toBe(2);
});

it("reloads in place: reloading with the kernel's own time, then ready again", async () => {
  const read = vi.fn(async () => {});
  const { told, reload } = stand({ reload: read, status: () => "3 containers" });
  await pass(0);
  reload();
  await pass(0);
  expect(read).toHaveBeenCalledOnce();
  expect(told.slice(2)).toEqual([
    "RELOADING=1",
    expect.stringMatching(/^MONOTONIC_USEC=\d+$/),
    "READY=1",
    "STATUS=3 containers",
  ]);
});

it("reads once more when asked again during a reload, however often that was", async () => {
  const reading: PromiseWithResolvers<void>[] = [];
  const { reload } = stand({
    reload: () => {
      const one = Promise.withResolvers<void>();
      reading.push(one);
      return one.promise;
    },
  });
  await pass(0);
  for (let time = 0; time < 3; time++) reload();
  await pass(0);
  expect(reading).toHaveLength(1);
  reading[0]?.resolve();
  await pass(0);
  expect(reading).toHaveLength(2);
  reading[1]?.resolve();
  await pass(0);
  expect(reading).toHaveLength(2);
});

it("is ready again after a reload that failed, and says why it did", async () => {
  const { told, logged, reload } = stand({ reload: () => Promise.reject(new Error("no such file")) });
  await pass(0);
  reload();
  await pass(0);
  expect(told.filter((line) => line === "READY=1")).toHaveLength(2);
  expect(logged).toEqual([expect.stringMatching(/^error: reload: .*no such file.*holds$/)]);
});

it("leaves SIGHUP its usual meaning where there is nothing to reload", async () => {
  const { hasReload } = stand();
  await pass(0);
  expect(hasReload()).toBe(false);
});

it("keeps foreign text in its status from becoming a message of its own", async () => {
  const { told } = stand({ status: () => "container x\nWATCHDOG=1\nSTOPPING=1" });
  await pass(0);
  expect(told).toEqual(["READY=1", "STATUS=container x WATCHDOG=1 STOPPING=1"]);
});
