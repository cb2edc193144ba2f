import { expect, test } from "vitest";

import { clientSettings } from "./client-options.ts";

test("without a word from anybody it asks this machine's resolver, and learns the zones", () => {
  expect(clientSettings({}, {})).toEqual({
    stub: { resolver: ["https://127.0.0.1:8053"], resolveTimeoutMs: 5_000 },
    limits: { resolveMs: 5_000, connectMs: 10_000, patienceMs: 10_000 },
  });
});

test("the environment says it as it does for berth's commands", () => {
  const env = {
    BERTH_RESOLVER: "https://a.example,https://b.example:8053",
    BERTH_RESOLVER_ADDRESS: "192.0.2.1, 2001:DB8::1",
    BERTH_TOKEN_FILE: "/run/token",
    BERTH_CA: "/etc/berth/ca.pem",
    BERTH_ZONE: "Berth.internal,lab.example.",
    BERTH_RESOLVE_TIMEOUT: "2",
    BERTH_CONNECT_TIMEOUT: "3",
    BERTH_RESTART_PATIENCE: "0",
  };
  const said = {
    stub: {
      resolver: ["https://a.example", "https://b.example:8053"],
      resolverAddress: ["192.0.2.1", "2001:db8::1"],
      tokenFile: "/run/token",
      ca: { file: "/etc/berth/ca.pem", required: true },
      zone: ["berth.internal.", "lab.example."],
      resolveTimeoutMs: 2_000,
    },
    limits: { resolveMs: 2_000, connectMs: 3_000, patienceMs: 0 },
  };
  expect(clientSettings({}, env)).toEqual(said);
  const empty = Object.fromEntries(Object.keys(env).map((name) => [name, ""]));
  expect(clientSettings({}, empty)).toEqual(clientSettings({}, {}));
});

test("options win over the environment", () => {
  const env = {
    BERTH_RESOLVER: "https://a.example",
    BERTH_RESOLVER_ADDRESS: "192.0.2.1",
    BERTH_ZONE: "a.example",
    BERTH_CA: "/a",
    BERTH_TOKEN_FILE: "/b",
  };
  const options = {
    resolver: ["https://b.example"],
    resolverAddress: ["192.0.2.2", "192.0.2.3"],
    zone: "b.example",
    ca: "/c",
    tokenFile: "/d",
    connectTimeoutMs: 1,
  };
  expect(clientSettings(options, env)).toMatchObject({
    stub: {
      resolver: ["https://b.example"],
      resolverAddress: ["192.0.2.2", "192.0.2.3"],
      zone: ["b.example."],
      ca: { file: "/c" },
      tokenFile: "/d",
    },
    limits: { connectMs: 1 },
  });
});

test.each([
  [{ resolver: "http://resolver.example" }, {}, "resolver (or BERTH_RESOLVER): it is not an https URL"],
  [{}, { BERTH_RESOLVER: "nonsense" }, "resolver (or BERTH_RESOLVER): it is not an https URL"],
  [
    { resolverAddress: "a.example" },
    {},
    'resolverAddress (or BERTH_RESOLVER_ADDRESS): "a.example" is not an IP address',
  ],
  [{ zone: ["a..b"] }, {}, "zone (or BERTH_ZONE): "],
  [
    { resolveTimeoutMs: -1 },
    {},
    "resolveTimeoutMs (or BERTH_RESOLVE_TIMEOUT, in seconds): a time from 0 to a day",
  ],
  [{}, { BERTH_RESTART_PATIENCE: "soon" }, "restartPatienceMs (or BERTH_RESTART_PATIENCE, in seconds): "],
])("%j with %j is refused by the names of the option", (options, env, message) => {
  expect(() => clientSettings(options, env)).toThrow(
    expect.objectContaining({ code: "bad-config", message: expect.stringContaining(message) }),
  );
});
