import { afterEach, expect, test, vi } from "vitest";

import { partEnvironment, statePaths } from "./state.ts";

afterEach(() => vi.unstubAllEnvs());

test("BERTH_STATE_DIR is the base of all parts, and no part's own directory", () => {
  vi.stubEnv("STATE_DIRECTORY", "/systemd");
  vi.stubEnv("BERTH_STATE_DIR", "/base");
  expect(statePaths()).toMatchObject({
    resolver: "/base/resolver",
    agent: "/base/agent",
    readerTokenFile: "/base/resolver/reader.token",
  });
  expect(partEnvironment().BERTH_STATE_DIR).toBeUndefined();
  expect(partEnvironment().STATE_DIRECTORY).toBe("/systemd");
});
