import { describe, expect, test } from "vitest";
import type { Binding } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { containerOf, inputOf, networkOf, placedOf, published, rulesOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { worse } from "./health.ts";
import type { CheckState, DeclareInput } from "./input.ts";

const networks = [networkOf("shop", "172.18.0.3")];
const ports = [
  ...published(80, 32768),
  ...published(443, 32769),
  ...published(53, 32770, { protocol: "udp" }),
];
const web = (labels: Record<string, string>, given: Partial<ContainerFacts> = {}) =>
  containerOf("web", { labels, ports, networks, ...given });

function declared(container: ContainerFacts, given: Partial<DeclareInput> = {}) {
  return declare(inputOf([container], given), rulesOf());
}

/** The same again, with the checks' states as they are told by address, port and path. */
function healths(
  container: ContainerFacts,
  states: Record<string, CheckState> = {},
  given: Partial<DeclareInput> = {},
) {
  const { checks } = declared(container, given);
  const known = checks.flatMap((check): [string, CheckState][] => {
    const state = states[`${check.port}${check.httpPath ?? ""}`];
    return state === undefined ? [] : [[check.key, state]];
  });
  const { bindings } = declared(container, { ...given, checks: new Map(known) });
  const own = bindings.filter(({ rule }) => rule === "host");
  return Object.fromEntries(own.map(({ servicePort, health }) => [servicePort, health]));
}

const all = (health: Binding["health"]) => ({ 53: health, 80: health, 443: health });

test.each([
  ["none", "healthy", "healthy"],
  ["healthy", "starting", "starting"],
  ["unhealthy", "starting", "unhealthy"],
  ["none", "none", "none"],
] as const)("of %s and %s the worse is %s, either way round", (left, right, expected) => {
  expect([worse(left, right), worse(right, left)]).toEqual([expected, expected]);
});

describe("HEALTHCHECK", () => {
  test("speaks for every port", () => {
    expect(healths(web({}, { health: "starting" }))).toEqual(all("starting"));
  });
  test("berth.health=ignore leaves own checks alone to speak", () => {
    expect(healths(web({ "berth.health": "ignore" }, { health: "unhealthy" }))).toEqual(all("none"));
    const labels = { "berth.health": "ignore", "berth.check": "http:/" };
    expect(healths(web(labels, { health: "unhealthy" }), { "80/": "healthy" })).toEqual(all("healthy"));
  });
});

describe("berth.check", () => {
  test("tcp looks at each TCP port of the container's own address, and each port's state is its own", () => {
    const { checks } = declared(web({ "berth.check": "tcp,interval=5s" }));
    const usual = {
      container: "web",
      httpPath: undefined,
      address: "172.18.0.3",
      intervalMs: 5_000,
      timeoutMs: 3_000,
    };
    expect(checks).toEqual([
      { ...usual, port: 80, key: expect.any(String) },
      { ...usual, port: 443, key: expect.any(String) },
    ]);
    expect(healths(web({ "berth.check": "tcp" }), { 80: "healthy", 443: "unhealthy" })).toEqual({
      53: "none",
      80: "healthy",
      443: "unhealthy",
    });
  });
  test("not looked at yet is starting", () => {
    expect(healths(web({ "berth.check": "tcp" }))).toEqual({ 53: "none", 80: "starting", 443: "starting" });
  });
  test("http asks port 80, and speaks for every port", () => {
    expect(healths(web({ "berth.check": "http:/up" }), { "80/up": "unhealthy" })).toEqual(all("unhealthy"));
  });
  test("http asks the port that stands in for 80, or the one it is told, or the lowest", () => {
    const portsOf = (labels: Record<string, string>, given = {}) =>
      declared(web(labels, given)).checks.map(({ port }) => port);
    expect(portsOf({ "berth.check": "http:/", "berth.http": "443" })).toEqual([443]);
    expect(portsOf({ "berth.check": "http:/,port=9000" })).toEqual([9000]);
    expect(
      portsOf({ "berth.check": "http:/" }, { ports: [...published(9000, 2), ...published(8080, 1)] }),
    ).toEqual([8080]);
  });
  test("with HEALTHCHECK the worse one counts", () => {
    expect(healths(web({ "berth.check": "http:/" }, { health: "unhealthy" }), { "80/": "healthy" })).toEqual(
      all("unhealthy"),
    );
    expect(healths(web({ "berth.check": "http:/" }, { health: "healthy" }), { "80/": "starting" })).toEqual(
      all("starting"),
    );
  });
  test("http without a TCP port is a problem", () => {
    const udp = web({ "berth.check": "http:/" }, { ports: published(53, 1, { protocol: "udp" }) });
    expect(declared(udp).problems).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/say which with ,port=N/) }),
    ]);
  });
  test("a new run is a new check; the same run keeps its key", () => {
    const keyOf = (given: Partial<ContainerFacts>) =>
      declared(web({ "berth.check": "http:/" }, given)).checks[0]?.key;
    expect(keyOf({})).toBe(keyOf({ health: "healthy" }));
    expect(keyOf({})).not.toBe(keyOf({ startedAt: "2026-11-23T00:00:00Z" }));
    expect(keyOf({})).not.toBe(keyOf({ networks: [networkOf("shop", "172.18.0.4")] }));
  });
  test("in the host's network the port is asked where the host is", () => {
    const host = web(
      { "berth.check": "http:/,port=9000", "berth.port.80": "8080" },
      { networkMode: "host", ports: [], networks: [] },
    );
    expect(declared(host).checks).toEqual([expect.objectContaining({ address: "10.0.0.5", port: 9000 })]);
  });
});

describe("where this machine does not reach containers", () => {
  const far = (label: string) =>
    inputOf([], { containers: [placedOf(web({ "berth.check": label }), { isNear: false })] });
  test("the published port is checked, and that is noted", () => {
    const { checks, notes } = declare(far("http:/"), rulesOf());
    expect(checks).toEqual([expect.objectContaining({ address: "10.0.0.5", port: 32768 })]);
    expect(notes).toEqual([expect.stringMatching(/web: port 80 is checked where it is published/)]);
  });
  test("a port that is not published cannot be checked, which is a problem", () => {
    const { checks, problems } = declare(far("http:/,port=9000"), rulesOf());
    expect(checks).toEqual([]);
    expect(problems).toEqual([expect.objectContaining({ code: "not-checked" })]);
  });
});

describe("registrator's checks", () => {
  test("are each port's own, and those of a port beat the general ones", () => {
    const env = {
      SERVICE_CHECK_TCP: "true",
      SERVICE_443_CHECK_HTTP: "/up",
      SERVICE_443_CHECK_INTERVAL: "1m",
    };
    const { checks } = declared(web({}, { env }));
    expect(checks.map(({ port, httpPath, intervalMs }) => [port, httpPath, intervalMs])).toEqual([
      [80, undefined, 10_000],
      [443, "/up", 60_000],
    ]);
    expect(healths(web({}, { env }), { 80: "healthy", "443/up": "unhealthy" })).toEqual({
      53: "none",
      80: "healthy",
      443: "unhealthy",
    });
  });
  test("give way to berth.check, and are off with their family", () => {
    const env = { SERVICE_CHECK_TCP: "true" };
    expect(declared(web({ "berth.check": "off" }, { env })).checks).toEqual([]);
    expect(declare(inputOf([web({}, { env })]), rulesOf({ families: new Set() })).checks).toEqual([]);
    expect(declared(web({}, { env: { ...env, SERVICE_IGNORE: "1" } })).checks).toEqual([]);
  });
  test("that berth does not make, or cannot read, are noted", () => {
    const env = {
      SERVICE_CHECK_SCRIPT: "x",
      SERVICE_CHECK_HTTP: "up",
      SERVICE_CHECK_TCP: "1",
      SERVICE_CHECK_INTERVAL: "often",
    };
    const { checks, notes } = declared(web({}, { env }));
    expect(checks.map(({ httpPath }) => httpPath)).toEqual([undefined, undefined]);
    expect(notes).toEqual([
      "web: SERVICE_CHECK_SCRIPT is a check berth does not make",
      "web: SERVICE_CHECK_HTTP is no path that begins with /",
      "web: SERVICE_CHECK_INTERVAL is not a time from 1s to 1h, such as 10s; 10s holds",
    ]);
  });
});

test("a container that flaps is declared unhealthy, whatever it says of itself", () => {
  const container = web({ "berth.health": "ignore" }, { health: "healthy" });
  expect(healths(container, {}, { flapping: new Set([container.id]) })).toEqual(all("unhealthy"));
});

test("a berth.network the container is not in is a problem of one that is checked", () => {
  const { problems } = declared(web({ "berth.check": "tcp", "berth.network": "nosuch" }));
  expect(problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
    expect.stringMatching(/^bad-label berth\.network=nosuch: .*its networks: shop/),
  ]);
});
