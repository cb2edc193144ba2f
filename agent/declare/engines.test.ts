import { describe, expect, test } from "vitest";
import type { Name } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import {
  containerOf,
  inputOf,
  networkOf,
  placedOf,
  published,
  rulesOf,
  siteOf,
} from "../testing/builders.ts";
import { declare } from "./declare.ts";
import type { CheckState, DeclareInput, DeclareRules, PlacedContainer } from "./input.ts";

const on = (engine: string, name: string, given: Partial<ContainerFacts> = {}) =>
  placedOf(containerOf(name, { id: `${engine}${name}`.padEnd(64, "0"), ...given }), { engine });
const outcomeOf = (...containers: PlacedContainer[]) => declare(inputOf([], { containers }), rulesOf());

describe("several engines", () => {
  test("containers of one name: the first engine's keeps its names, and the other is told which engine it is on", () => {
    const { bindings, problems } = outcomeOf(on("docker", "web"), on("podman", "web"));
    expect(new Set(bindings.map(({ instance }) => instance.slice(0, 6)))).toEqual(new Set(["docker"]));
    expect(problems.map(({ container, code, message }) => `${container} ${code} ${message}`)).toEqual(
      ["web.berth.internal", "web.alpha.host.berth.internal"].map(
        (name) =>
          `web name-taken on the engine podman: ${name} belongs to container web on the engine docker of this host; rename one of them`,
      ),
    );
  });

  test("the order is that of the engines, not of the names they have", () => {
    const { bindings } = outcomeOf(on("zz", "web"), on("aa", "db"), on("aa", "web"), on("zz", "db"));
    expect(new Set(bindings.map(({ instance }) => instance.slice(0, 2)))).toEqual(new Set(["zz"]));
  });

  test("one Compose project on both has replicas on both", () => {
    const compose = { project: "shop", service: "api", oneoff: false };
    const { bindings, problems } = outcomeOf(
      on("docker", "shop_api_1", { compose }),
      on("podman", "shop_api_2", { compose }),
    );
    expect(bindings.filter(({ rule }) => rule === "compose")).toHaveLength(2);
    expect(problems).toEqual([]);
  });

  test("each container's ports are open where its engine's are", () => {
    const remote = placedOf(containerOf("web"), { engine: "far", site: siteOf("192.0.2.7"), isNear: false });
    const { bindings } = outcomeOf(on("docker", "db"), remote);
    const addresses = bindings
      .filter(({ rule }) => rule === "container")
      .map(({ name, addresses }) => `${name} ${addresses}`);
    expect(addresses).toEqual(["db.berth.internal. 10.0.0.5,fd00::5", "web.berth.internal. 192.0.2.7"]);
  });

  test("a shared network is looked for on the container's own engine", () => {
    const guest = {
      networkMode: "container:vpn",
      ports: [],
      exposed: [{ protocol: "tcp" as const, containerPort: 80 }],
    };
    const { bindings } = outcomeOf(on("docker", "vpn"), on("podman", "web", guest));
    expect(bindings.some(({ container }) => container === "web")).toBe(false);
  });
});

describe("what is remembered of a container", () => {
  const networks = [networkOf("front", "172.18.0.2")];
  const containers = ["aa", "bb"].map((name) =>
    containerOf(name, { networks, labels: { "berth.check": "tcp" } }),
  );
  const rules = rulesOf();

  test("is taken again as it is while nothing about it changed, in a site of the same addresses", () => {
    const first = declare(inputOf(containers, { site: siteOf() }), rules);
    const changed = [containerOf("aa", { ports: published(80, 7) }), ...containers.slice(1)];
    const second = declare(inputOf(changed, { site: siteOf() }), rules);
    const of = (name: string, { bindings }: typeof first) =>
      bindings.filter(({ container }) => container === name);
    of("bb", second).forEach((binding, at) => {
      expect(binding).toBe(of("bb", first)[at]);
    });
    expect(of("aa", second).map(({ port }) => port)).toEqual([7, 7]);
  });

  const input = inputOf(containers);
  const placed = (given: Partial<PlacedContainer>) => ({
    containers: containers.map((container) => placedOf(container, given)),
  });
  const { checks } = declare(input, rules);
  const made = new Map(checks.map(({ key }): [string, CheckState] => [key, "healthy"]));
  const news: [string, Partial<DeclareInput>, Partial<DeclareRules>, object][] = [
    ["check", { checks: made }, {}, { health: "healthy" }],
    ["flapping", { flapping: new Set(containers.map(({ id }) => id)) }, {}, { health: "unhealthy" }],
    ["site", placed({ site: siteOf("10.0.0.6") }), {}, { addresses: ["10.0.0.6"] }],
    ["zone", {}, { zone: "other." as Name }, { name: "aa.alpha.host.other." }],
  ];
  test.each(news)("is not once there is another %s", (_, given, chosen, expected) => {
    // One look before, so that there is something remembered.
    expect(declare(input, rules).bindings[0]).toMatchObject({
      health: "starting",
      name: "aa.alpha.host.berth.internal.",
    });
    const all = Object.keys(chosen).length === 0 ? rules : { ...rules, ...chosen };
    expect(declare({ ...input, ...given }, all).bindings[0]).toMatchObject(expected);
    expect(declare(input, rules).bindings[0]).toMatchObject({
      health: "starting",
      name: "aa.alpha.host.berth.internal.",
    });
  });
  test("is not once its engine has ended, or cannot be reached any more", () => {
    expect(declare(input, rules).bindings).toHaveLength(4);
    expect(declare({ ...input, ...placed({ fixedOnly: true }) }, rules).bindings).toEqual([]);
    expect(declare(input, rules).checks[0]?.port).toBe(80);
    expect(declare({ ...input, ...placed({ isNear: false }) }, rules).checks[0]?.port).toBe(32768);
  });
});

describe("own labels on a binding", () => {
  const ports = [...published(80, 1), ...published(8443, 2), ...published(53, 3, { protocol: "udp" })];
  const of = (labels: Record<string, string>, given: Partial<ContainerFacts> = {}) => {
    const { bindings, problems } = declare(
      inputOf([containerOf("web", { labels, ports, ...given })]),
      rulesOf(),
    );
    return {
      own: bindings.filter(({ rule }) => rule !== "host"),
      problems: problems.map(({ message }) => message),
    };
  };
  const tlsPorts = (labels: Record<string, string>) =>
    of(labels).own.flatMap(({ servicePort, tls }) => (tls === true ? [servicePort] : []));

  test("berth.tls marks all TCP ports, or those named as clients or the container know them", () => {
    expect(tlsPorts({})).toEqual([]);
    expect(tlsPorts({ "berth.tls": "true" })).toEqual([80, 8443]);
    expect(tlsPorts({ "berth.tls": "8443", "berth.port.443": "8443" })).toEqual([443, 8443]);
    expect(tlsPorts({ "berth.tls": "443", "berth.port.443": "8443" })).toEqual([443]);
  });
  test("berth.tls of a port that is not there is a problem", () => {
    expect(of({ "berth.tls": "443,53" }).problems).toEqual([
      "berth.tls: the container publishes no TCP port 443, 53; published ones: 80/tcp, 8443/tcp, 53/udp",
    ]);
  });
  test("weight, priority and txt stand on every binding", () => {
    const labels = { "berth.weight": "5", "berth.priority": "3", "berth.txt.path": "/a" };
    for (const binding of of(labels).own)
      expect(binding).toMatchObject({ weight: 5, priority: 3, txt: ["path=/a"] });
    for (const binding of of({}).own)
      expect(Object.keys(binding)).not.toEqual(expect.arrayContaining(["txt"]));
  });
  test("a family's port for 80 holds for its name alone, and gives way to berth.http", () => {
    const env = { VIRTUAL_HOST: "shop", VIRTUAL_PORT: "8443" };
    const httpOf = (labels: Record<string, string>) =>
      of(labels, { env }).own.map(({ http }) => http ?? null);
    expect(httpOf({})).toEqual([false, true, false]);
    expect(httpOf({ "berth.http": "80" })).toEqual([true, false, false]);
    const { bindings } = declare(inputOf([containerOf("web", { env, ports })]), rulesOf());
    expect(bindings.filter(({ rule, http }) => rule === "host" && http !== undefined)).toEqual([]);
  });
  test("a port for 80 that is not there is noted, and keeps no other from standing in", () => {
    const env = { VIRTUAL_HOST: "shop", VIRTUAL_PORT: "9" };
    const { bindings, notes } = declare(inputOf([containerOf("web", { env })]), rulesOf());
    expect(bindings.every(({ http }) => http === undefined)).toBe(true);
    expect(notes).toEqual(["web: port 9 is to answer on 80, and is not published"]);
  });
});
