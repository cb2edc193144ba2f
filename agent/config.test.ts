import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readConfig } from "../shared/config.ts";
import { agentOptions } from "./config.ts";
import { parseNameTemplate } from "./declare/name-template.ts";
import { rulesFrom } from "./parts.ts";

const required = { tokenFile: "/t", stateDir: "/s", hostLabel: "alpha" };
const read = (flags: Record<string, string | boolean> = {}) =>
  readConfig(agentOptions, { ...required, ...flags }, {});

beforeEach(() => vi.stubEnv("DOCKER_HOST", ""));
afterEach(() => vi.unstubAllEnvs());

const usual = {
  kind: "unix",
  where: "unix:///var/run/docker.sock",
  path: "/var/run/docker.sock",
  label: "docker",
  advertise: [],
};

test("the defaults", () => {
  expect(read()).toEqual({
    engine: [usual],
    resolver: ["https://127.0.0.1:8053"],
    tokenFile: "/t",
    stateDir: "/s",
    servicesDir: "/etc/berth/services.d",
    zone: "berth.internal.",
    hostLabel: "alpha",
    advertise: [],
    nameTemplate: parseNameTemplate("{service}.{project}|{container}"),
    families: new Set(["registrator", "nginx-proxy", "traefik", "dnsdock"]),
    only: [],
    except: [],
    publishUnpublished: false,
    relayPorts: { first: 20_000, last: 20_999 },
    status: { host: "127.0.0.1", port: 9853 },
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

const places = (flags: Record<string, string> = {}) => read(flags).engine.map(({ where }) => where);

test.each([
  ["unix:///run/d.sock", ["unix:///run/d.sock"]],
  ["/run/d.sock", ["unix:///run/d.sock"]],
  ["/run/a.sock,ssh://nas", ["unix:///run/a.sock", "ssh://nas"]],
  ["none", []],
])("engine %s", (engine, expected) => {
  expect(places({ engine })).toEqual(expected);
});

test.each(["tcp://10.0.0.1:2375", "npipe:////./pipe/x", "run/d.sock", "unix://", "none,/run/d.sock"])(
  "engine %s is a fault that is said once, with the option's name",
  (engine) => {
    expect(() => read({ engine })).toThrow(/^--engine \(or BERTH_ENGINE\): "/);
  },
);

test("DOCKER_HOST is taken when nothing is given, under the same rule", () => {
  vi.stubEnv("DOCKER_HOST", "unix:///run/user/1000/docker.sock");
  expect(places()).toEqual(["unix:///run/user/1000/docker.sock"]);
  vi.stubEnv("DOCKER_HOST", "tcp://10.0.0.1:2375");
  expect(() => read()).toThrow(/DOCKER_HOST/);
  expect(places({ engine: "/run/d.sock" })).toEqual(["unix:///run/d.sock"]);
});

test("relays may be switched off, and then nothing may ask for all of them", () => {
  expect(read({ relayPorts: "off" }).relayPorts).toBeUndefined();
  expect(rulesFrom(read({ relayPorts: "off" })).mayRelay).toBe(false);
  expect(rulesFrom(read({ publishUnpublished: true })).mayRelay).toBe(true);
  const both = read({ relayPorts: "off", publishUnpublished: true });
  expect(() => rulesFrom(both)).toThrow(/--relay-ports off forbids/);
});

test.each([
  ["relayPorts", "80", /--relay-ports .* range of ports/],
  ["relayPorts", "3000-2000", /--relay-ports/],
  ["relayPorts", "0-100", /--relay-ports/],
  ["relayPorts", "65000-65536", /--relay-ports/],
  ["families", "treafik", /--families .*"treafik" is no family/],
  ["only", "team=a", /--only .*label:KEY/],
  ["except", "label", /--except .*label:KEY/],
  ["nameTemplate", "{nonsense}", /--name-template .*nonsense/],
  ["status", "here", /--status .*host:port/],
  ["advertise", "observed,10.0.0.5", /--advertise .*"observed" alone/],
])("%s=%s is a fault", (option, value, expected) => {
  expect(() => read({ [option]: value })).toThrow(expected);
});

test("behind NAT, the resolver says which address it sees", () => {
  expect(read({ advertise: "observed" }).advertise).toBe("observed");
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
