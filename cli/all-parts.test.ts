import { expect, test } from "vitest";

import { readPartsConfig } from "./all-parts.ts";
import { statePaths } from "./state.ts";

const paths = statePaths("/base");

test("the parts find each other's files, whatever the environment says", () => {
  const env = { BERTH_STATE_DIR: "/users", BERTH_TOKEN_FILE: "/users/token" };
  const { resolver, agent } = readPartsConfig({}, env, paths);
  expect(resolver.stateDir).toBe("/base/resolver");
  expect(agent).toMatchObject({ stateDir: "/base/agent", tokenFile: "/base/resolver/agent.token" });
});

test("one zone for all, by flag or environment; each listens at its own place", () => {
  const env = { BERTH_ZONE: "env.test", BERTH_LISTEN: "127.0.0.1:1", BERTH_PROXY_LISTEN: "127.0.0.1:2" };
  const fromEnv = readPartsConfig({}, env, paths);
  expect([fromEnv.resolver, fromEnv.agent, fromEnv.proxy].map(({ zone }) => zone)).toEqual([
    "env.test.",
    "env.test.",
    ["env.test."],
  ]);
  expect([fromEnv.resolver.listen.port, fromEnv.proxy.listen.port]).toEqual([1, 2]);
  const fromFlags = readPartsConfig({ zone: "flag.test", proxyListen: "127.0.0.1:3" }, env, paths);
  expect([fromFlags.agent.zone, fromFlags.proxy.listen.port]).toEqual(["flag.test.", 3]);
});

test.each([
  [{ listen: "0.0.0.0:8053" }, /--listen .*one of this machine's addresses.*README/],
  [{ listen: "[::]:8053" }, /--listen .*one of this machine's addresses/],
  [{ proxyListen: "0.0.0.0:1080" }, /--proxy-listen .*authentication/],
  [{ listen: "nowhere" }, /--listen .*not host:port/],
  [{ engine: "tcp://127.0.0.1:2375" }, /--engine .*not the socket of an engine/],
])("%j is refused before anything is started", (flags, why) => {
  expect(() => readPartsConfig(flags, {}, paths)).toThrow(why);
});

test.each([
  [{}, {}, false],
  [{ engine: "/a/sock" }, {}, true],
  [{}, { DOCKER_HOST: "unix:///a/sock" }, true],
  [{}, { DOCKER_HOST: "" }, false],
])("flags %j and environment %j choose an engine: %j", (flags, env, isChosen) => {
  expect(readPartsConfig(flags, env, paths).isEngineChosen).toBe(isChosen);
});
