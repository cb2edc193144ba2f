import { expect, test, vi } from "vitest";

import { systemLookupsAtOnce } from "./system-lookup.ts";

test.each([
  [undefined, 2],
  ["4", 2],
  ["1", 1],
  ["0", 1],
  ["many", 1],
  ["8", 2],
  ["16", 6],
  ["64", 30],
])("with a thread pool of %s, %i look-ups run at once", (poolSize, atOnce) => {
  vi.stubEnv("UV_THREADPOOL_SIZE", poolSize);
  expect(systemLookupsAtOnce()).toBe(atOnce);
});
