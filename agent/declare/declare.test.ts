import { describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { bindingSchema, problemSchema } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { Site } from "../site.ts";
import { containerOf, inputOf, portOf, published, siteOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { defaultRules } from "./default-rules.ts";

function bindingsFromContainers(containers: ContainerFacts[], site: Site) {
  return declare(inputOf(containers, { site }), defaultRules(site));
}

const compose = { project: "shop", service: "web", oneoff: false };

function namesOf(containers: ContainerFacts[], site: Site = siteOf()): string[] {
  const { bindings } = bindingsFromContainers(containers, site);
  return [...new Set(bindings.map(({ name, rule }) => `${rule} ${name}`))];
}

function problemsOf(containers: ContainerFacts[], site: Site = siteOf()): string[] {
  return bindingsFromContainers(containers, site).problems.map(
    ({ container, code }) => `${container} ${code}`,
  );
}

/** `port@addresses` of the container's own name. */
function reachOf(container: ContainerFacts, site: Site = siteOf()): string[] {
  return bindingsFromContainers([container], site)
    .bindings.filter(({ rule }) => rule !== "host")
    .map(({ protocol, servicePort, port, addresses, fixed }) => {
      const shown = `${servicePort}/${protocol} ${port}@${addresses.join()}`;
      return fixed ? `${shown} fixed` : shown;
    });
}

describe("names", () => {
  const host = "host web1.alpha.host.berth.internal.";
  const cases: { desc: string; given: Partial<ContainerFacts>; names: string[] }[] = [
    {
      desc: "a plain container",
      given: {},
      names: ["host web1.alpha.host.berth.internal.", "container web1.berth.internal."],
    },
    { desc: "Compose", given: { compose }, names: ["compose web.shop.berth.internal.", host] },
    {
      desc: "Compose names are normalised",
      given: { compose: { project: "My_Shop", service: "web.front", oneoff: false } },
      names: [host, "compose web-front.my-shop.berth.internal."],
    },
    {
      desc: "berth.name replaces the Compose name",
      given: { compose, labels: { "berth.name": "api, www.shop" } },
      names: ["label api.berth.internal.", host, "label www.shop.berth.internal."],
    },
    {
      desc: "only wrong names: the host's own is left, for no default was asked for",
      given: { labels: { "berth.name": "-" } },
      names: [host],
    },
    { desc: "docker compose run", given: { compose: { ...compose, oneoff: true } }, names: [] },
    { desc: "not running", given: { running: false, ports: [] }, names: [] },
    { desc: "no published port", given: { ports: [] }, names: [] },
    { desc: "ignored", given: { labels: { "berth.ignore": "true" } }, names: [] },
  ];
  test.each(cases)("$desc", ({ given, names }) => {
    expect(namesOf([containerOf("web1", given)])).toEqual(names.toSorted(byName));
  });

  test("the name Compose gives a container it is about to replace is never seen", () => {
    expect(namesOf([containerOf("0123456789ab_shop_web_1", { compose })])).toEqual([]);
  });

  const reserved = ["host", "ns"];
  test.each(reserved)("a container called %s keeps its host name and is told why", (name) => {
    expect(namesOf([containerOf(name)])).toEqual([`host ${name}.alpha.host.berth.internal.`]);
    expect(problemsOf([containerOf(name)])).toEqual([`${name} bad-name`]);
  });

  test("a Compose project called host is reserved", () => {
    const container = containerOf("web1", { compose: { ...compose, project: "host" } });
    expect(namesOf([container])).toEqual([host]);
    expect(problemsOf([container])).toEqual(["web1 bad-name"]);
  });

  test("a name too long for one label is a problem, not cut", () => {
    const name = "a".repeat(64);
    expect(namesOf([containerOf(name)])).toEqual([]);
    expect(problemsOf([containerOf(name)])).toEqual([`${name} bad-name`]);
  });
});

describe("two containers, one name", () => {
  test("names that become the same label: the smaller keeps it", () => {
    const found = bindingsFromContainers([containerOf("web.1"), containerOf("web-1")], siteOf());
    expect(new Set(found.bindings.map(({ container }) => container))).toEqual(new Set(["web-1"]));
    expect(found.problems.map(({ container, code }) => `${container} ${code}`)).toEqual([
      "web.1 name-taken",
      "web.1 name-taken",
    ]);
  });

  test("a container without ports claims nothing", () => {
    expect(namesOf([containerOf("web-1", { ports: [] }), containerOf("web.1")])).toContain(
      "container web-1.berth.internal.",
    );
  });

  test("an explicit name wins over a plain container's own", () => {
    const explicit = containerOf("zz", { labels: { "berth.name": "db" } });
    const found = bindingsFromContainers([containerOf("db"), explicit], siteOf());
    const holders = found.bindings.filter(({ name }) => name === "db.berth.internal.");
    expect(holders.map(({ container }) => container)).toEqual(["zz"]);
    expect(problemsOf([containerOf("db"), explicit])).toEqual(["db name-taken"]);
  });

  test("Compose replicas share their name", () => {
    const replicas = ["shop_web_1", "shop_web_2"].map((name) => containerOf(name, { compose }));
    const { bindings, problems } = bindingsFromContainers(replicas, siteOf());
    expect(problems).toEqual([]);
    expect(bindings.filter(({ rule }) => rule === "compose")).toHaveLength(2);
  });

  test("two Compose services whose names become the same labels are no replicas: the first keeps the name", () => {
    const of = (name: string, service: string, project = "shop") =>
      containerOf(name, { compose: { project, service, oneoff: false } });
    const containers = [
      of("a1", "my_svc"),
      of("b1", "my-svc"),
      of("b2", "my-svc"),
      of("c1", "my_svc", "Shop"),
    ];
    const { bindings, problems } = bindingsFromContainers([...containers, of("d1", "my_svc")], siteOf());
    const holders = bindings.filter(({ rule }) => rule === "compose").map(({ container }) => container);
    expect(holders).toEqual(["a1", "d1"]);
    expect(problems.map(({ container, code }) => `${container} ${code}`)).toEqual([
      "b1 name-taken",
      "b2 name-taken",
      "c1 name-taken",
    ]);
    expect(problems[0]?.message).toMatch(
      /^my-svc\.shop.* belongs to Compose service "my_svc" of project "shop"/,
    );
  });

  test("berth.name may join a Compose service, and takes no name from it", () => {
    const joined = containerOf("aa", { labels: { "berth.name": "web.shop" } });
    const { bindings, problems } = bindingsFromContainers(
      [joined, containerOf("shop_web_1", { compose })],
      siteOf(),
    );
    const holders = bindings.filter(({ name }) => name === "web.shop.berth.internal.");
    expect(new Set(holders.map(({ container }) => container))).toEqual(new Set(["aa", "shop_web_1"]));
    expect(problems).toEqual([]);
  });
});

describe("ports", () => {
  const cases: { desc: string; ports: ContainerFacts["ports"]; reach: string[] }[] = [
    {
      desc: "both families, one host port: one binding",
      ports: published(80, 32768),
      reach: ["80/tcp 32768@10.0.0.5,fd00::5"],
    },
    {
      desc: "host ports differ by family: each its own addresses",
      ports: [portOf(80, { hostPort: 32799 }), portOf(80, { hostPort: 32800, hostIp: "::" })],
      reach: ["80/tcp 32799@10.0.0.5", "80/tcp 32800@fd00::5"],
    },
    { desc: "Podman's empty HostIp", ports: [portOf(80, { hostIp: "" })], reach: ["80/tcp 32768@10.0.0.5"] },
    {
      desc: "one advertised address",
      ports: [portOf(80, { hostIp: "fd00::5" })],
      reach: ["80/tcp 32768@fd00::5"],
    },
    { desc: "loopback is private", ports: [portOf(80, { hostIp: "127.0.0.1" })], reach: [] },
    {
      desc: "loopback and another",
      ports: [portOf(80, { hostIp: "127.0.0.1", hostPort: 9 }), ...published(80, 32768)],
      reach: ["80/tcp 32768@10.0.0.5,fd00::5"],
    },
    {
      desc: "UDP",
      ports: published(53, 32768, { protocol: "udp" }),
      reach: ["53/udp 32768@10.0.0.5,fd00::5"],
    },
    {
      desc: "a fixed port",
      ports: published(80, 8080, { fixed: true }),
      reach: ["80/tcp 8080@10.0.0.5,fd00::5 fixed"],
    },
  ];
  test.each(cases)("$desc", ({ ports, reach }) => {
    const container = containerOf("web", { ports });
    expect(reachOf(container)).toEqual(reach);
    expect(problemsOf([container])).toEqual([]);
  });

  test("an address that is not advertised is a problem; other ports are not affected", () => {
    const ports = [portOf(80, { hostIp: "192.0.2.9" }), portOf(443)];
    const container = containerOf("web", { ports });
    expect(reachOf(container)).toEqual(["443/tcp 32768@10.0.0.5"]);
    expect(problemsOf([container])).toEqual(["web not-advertised"]);
  });

  test("SCTP is a problem; other ports are not affected", () => {
    const container = containerOf("web", { ports: [portOf(80, { protocol: "sctp" }), portOf(80)] });
    expect(reachOf(container)).toEqual(["80/tcp 32768@10.0.0.5"]);
    expect(problemsOf([container])).toEqual(["web unsupported-protocol"]);
  });

  test("IPv4 alone, on a host that advertises IPv6 alone", () => {
    expect(problemsOf([containerOf("web", { ports: [portOf(80)] })], siteOf("fd00::5"))).toEqual([
      "web not-advertised",
    ]);
  });

  describe("on a local host", () => {
    const local = { ...siteOf("127.0.0.1"), local: true };
    test("ports bound to loopback and to everything are open at 127.0.0.1", () => {
      expect(reachOf(containerOf("web", { ports: [portOf(80, { hostIp: "127.0.0.1" })] }), local)).toEqual([
        "80/tcp 32768@127.0.0.1",
      ]);
      expect(reachOf(containerOf("web"), local)).toEqual(["80/tcp 32768@127.0.0.1"]);
    });
    test("another loopback address is not the advertised one", () => {
      const container = containerOf("web", { ports: [portOf(80, { hostIp: "127.0.0.2" })] });
      expect(problemsOf([container], local)).toEqual(["web not-advertised"]);
    });
  });
});

describe("berth.http", () => {
  function httpOf(value: string, ports = [...published(8080, 1), ...published(9090, 2)]): string[] {
    const container = containerOf("web", { labels: { "berth.http": value }, ports });
    const { bindings } = bindingsFromContainers([container], siteOf());
    return bindings
      .filter(({ rule }) => rule !== "host")
      .map(({ servicePort, http }) => `${servicePort} ${http}`);
  }
  test("a port leads there, and no other port may", () => {
    expect(httpOf("8080")).toEqual(["8080 true", "9090 false"]);
  });
  test("a UDP port of that number does not", () => {
    const ports = [...published(8080, 1), ...published(8080, 2, { protocol: "udp" })];
    expect(httpOf("8080", ports)).toEqual(["8080 true", "8080 false"]);
  });
  test("off", () => {
    expect(httpOf("off")).toEqual(["8080 false", "9090 false"]);
  });
  test("a port that is not published is a problem that lists those that are, and asks for nothing", () => {
    expect(httpOf("80")).toEqual(["8080 undefined", "9090 undefined"]);
    const container = containerOf("web", { labels: { "berth.http": "80" }, ports: published(8080, 1) });
    expect(bindingsFromContainers([container], siteOf()).problems[0]?.message).toMatch(
      /published ones: 8080/,
    );
  });
});

describe("problems", () => {
  test("berth.name on a container that publishes nothing says what to do", () => {
    const labels = { "berth.name": "db" };
    const message = (given: Partial<ContainerFacts>) =>
      bindingsFromContainers([containerOf("db", { labels, ports: [], ...given })], siteOf()).problems[0]
        ?.message;
    expect(message({})).toMatch(/-p 80/);
    expect(message({ networkMode: "host" })).toMatch(/host's network/);
    expect(message({ networkMode: "container:abc" })).toMatch(/container abc, which does not run/);
    expect(message({ running: false })).toBeUndefined();
  });

  test("a wrong label leaves the other containers alone", () => {
    const wrong = containerOf("aa", { labels: { "berth.name": "x..y", "berth.nmae": "z" } });
    const right = containerOf("bb");
    expect(problemsOf([wrong, right])).toEqual(["aa bad-label", "aa bad-label"]);
    expect(namesOf([wrong, right])).toContain("container bb.berth.internal.");
  });
});

test("order in, order out: the same containers give the same set", () => {
  const containers = ["bb", "aa", "cc"].map((name) => containerOf(name, { labels: { "berth.x": "" } }));
  const once = bindingsFromContainers(containers, siteOf());
  const again = bindingsFromContainers(containers.toReversed(), siteOf());
  expect(again).toEqual(once);
  expect(once.bindings.map(({ name }) => name)).toEqual(once.bindings.map(({ name }) => name).toSorted());
});

test("whatever containers are called and labelled, every binding and problem fits into a push", () => {
  const long = "x".repeat(600);
  const containers = [
    containerOf("a".repeat(300)),
    containerOf("web", {
      labels: { "berth.name": `${long} ok`, [`berth.${long}`]: long, "berth.http": long },
    }),
    containerOf("shop", { compose: { project: "___", service: long, oneoff: false } }),
  ];
  const site = { ...siteOf(), addresses: ["10.0.0.5" as Address] };
  const { bindings, problems } = bindingsFromContainers(containers, site);
  expect(problems.length).toBeGreaterThan(3);
  for (const problem of problems) expect(problemSchema.safeParse(problem).success).toBe(true);
  for (const binding of bindings) expect(bindingSchema.safeParse(binding).success).toBe(true);
});

test("an instance is one run of a container", () => {
  const { bindings } = bindingsFromContainers([containerOf("web")], siteOf());
  expect(bindings[0]?.instance).toBe("web000000000@2026-11-22T10:00:00Z");
});

/** By name, as the set is sorted. */
function byName(left: string, right: string): number {
  const [a = "", b = ""] = [left.split(" ")[1], right.split(" ")[1]];
  return a < b ? -1 : 1;
}
