import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readConfig } from "../shared/config.ts";
import { agentOptions } from "./config.ts";

const required = { tokenFile: "/t", stateDir: "/s", hostLabel: "alpha" };
const read = (flags: Record<string, string> = {}) => readConfig(agentOptions, { ...required, ...flags }, {});

beforeEach(() => vi.stubEnv("DOCKER_HOST", ""));
afterEach(() => vi.unstubAllEnvs());

test("the defaults", () => {
  expect(read()).toEqual({
    engine: "/var/run/docker.sock",
    resolver: ["https://127.0.0.1:8053"],
    tokenFile: "/t",
    stateDir: "/s",
    zone: "berth.internal.",
    hostLabel: "alpha",
    advertise: [],
    lease: 15,
    engineGrace: 60,
    resync: 10,
    withdraw: false,
  });
});

test("what is missing is named with both its names", () => {
  expect(() => readConfig(agentOptions, {}, { BERTH_HOST_LABEL: "a" })).toThrow(
    /--token-file \(or BERTH_TOKEN_FILE\): the path.*--state-dir/,
  );
});

test.each([
  ["unix:///run/d.sock", "/run/d.sock"],
  ["/run/d.sock", "/run/d.sock"],
])("engine %s", (engine, path) => {
  expect(read({ engine }).engine).toBe(path);
});

test.each(["tcp://10.0.0.1:2375", "ssh://host", "npipe:////./pipe/x", "run/d.sock", "unix://"])(
  "engine %s is a fault",
  (engine) => {
    expect(() => read({ engine })).toThrow(/is not a unix socket/);
  },
);

test("DOCKER_HOST is taken when nothing is given, under the same rule", () => {
  vi.stubEnv("DOCKER_HOST", "unix:///run/user/1000/docker.sock");
  expect(read().engine).toBe("/run/user/1000/docker.sock");
  vi.stubEnv("DOCKER_HOST", "tcp://10.0.0.1:2375");
  expect(() => read()).toThrow(/DOCKER_HOST/);
  expect(read({ engine: "/run/d.sock" }).engine).toBe("/run/d.sock");
});

test("several resolvers, by comma, in the order given", () => {
  const resolver = "https://b.example,https://a.example:8053/berth";
  expect(read({ resolver }).resolver).toEqual(["https://b.example", "https://a.example:8053/berth"]);
  expect(() => read({ resolver: "https://b.example,http://a.example" })).toThrow(/--resolver/);
});

test("the host label is a label; the hostname's first one when none is given", () => {
  expect(read({ hostLabel: "Host-1" }).hostLabel).toBe("host-1");
  expect(() => read({ hostLabel: "a.b" })).toThrow(/--host-label/);
  expect(readConfig(agentOptions, { tokenFile: "/t", stateDir: "/s" }, {}).hostLabel).toMatch(/^[a-z0-9-]+$/);
});

test("advertised addresses", () => {
  expect(read({ advertise: "10.0.0.5, FD00::0:5 10.0.0.5" }).advertise).toEqual(["10.0.0.5", "fd00::5"]);
  for (const wrong of ["10.0.0.256", "host.example", "0.0.0.0", "::", "fe80::1", "10.0.0.5,x"])
    expect(() => read({ advertise: wrong })).toThrow(/is not an IP address others can connect to/);
});

test("loopback addresses among others are a fault that names the flag and what would be right", () => {
  expect(() => read({ advertise: "127.0.0.1,10.0.0.5,::1" })).toThrow(
    /--advertise.*: 127\.0\.0\.1, ::1 means every machine itself.*give 10\.0\.0\.5 alone, or loopback/,
  );
  expect(read({ advertise: "127.0.0.1,::1" }).advertise).toEqual(["127.0.0.1", "::1"]);
});

test("the zone", () => {
  expect(read({ zone: "Berth.Example.ORG" }).zone).toBe("berth.example.org.");
  expect(() => read({ zone: "." })).toThrow(/root/);
});

test("seconds keep to their bounds", () => {
  expect(() => read({ lease: "4" })).toThrow(/from 5 to 3600/);
  expect(() => read({ engineGrace: "x" })).toThrow(/number of seconds/);
});
