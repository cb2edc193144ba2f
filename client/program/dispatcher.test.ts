import { afterEach, beforeEach, expect, test } from "vitest";

import type { FetchDispatcher } from "./client-types.ts";
import { createDispatcher } from "./dispatcher.ts";

/** Of each connection that is waited for. */
let signals: AbortSignal[];
let dispatcher: FetchDispatcher;

beforeEach(() => {
  signals = [];
  const opened = (signal: AbortSignal): Promise<never> => {
    signals.push(signal);
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason));
    return promise;
  };
  dispatcher = createDispatcher((_, { signal }) => opened(signal), {});
});

afterEach(() => dispatcher.destroy());

test("its end by force ends what its requests wait for, those that were called off too", async () => {
  const leaving = new AbortController();
  const left = fetch("http://web.berth.internal/", { dispatcher, signal: leaving.signal });
  const stays = fetch("http://db.berth.internal/", { dispatcher });
  const failures = Promise.allSettled([left, stays]);
  leaving.abort();
  await dispatcher.destroy();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  const why = (await failures).map(
    (each) => each.status === "rejected" && String(each.reason?.cause ?? each.reason),
  );
  expect(why).toEqual([expect.stringContaining("AbortError"), expect.stringContaining("destroyed")]);
});

test("its end in peace lets them wait", async () => {
  const reply = fetch("http://web.berth.internal/", { dispatcher }).catch(() => "failed");
  const closed = dispatcher.close();
  expect(await Promise.race([closed, new Promise((resolve) => setImmediate(resolve, "waits"))])).toBe(
    "waits",
  );
  expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  await dispatcher.destroy();
  expect(await reply).toBe("failed");
});
