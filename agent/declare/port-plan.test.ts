import { describe, expect, test } from "vitest";
import type { ContainerFacts } from "../engine/facts.ts";
import {
  containerOf,
  exposedOf,
  inputOf,
  networkOf,
  portOf,
  published,
  rulesOf,
  siteOf,
} from "../testing/builders.ts";
import { declare } from "./declare.ts";
import type { DeclareInput } from "./input.ts";

/** One object, as in the agent: what is remembered of a container must not outlive its truth. */
const rules = rulesOf();

/** `service port/protocol host port@addresses` of one container's short name, and all problems. */
function reachOf(containers: ContainerFacts[], of: string, given: Partial<DeclareInput> = {}) {
  const { bindings, problems, notes, relays } = declare(inputOf(containers, given), rules);
  const own = bindings.filter(({ container, rule }) => container === of && rule === "host");
  const ports = own.map(({ servicePort, protocol, port, addresses, fixed }) => {
    return `${servicePort}/${protocol} ${port}@${addresses.join()}${fixed ? " fixed" : ""}`;
  });
  return {
    ports: ports.toSorted(),
    problems: problems.map(({ code, message }) => `${code}: ${message}`),
    notes,
    relays,
  };
}

const labelled = (...texts: string[]) =>
  Object.fromEntries(texts.map((text) => text.split("=") as [string, string]));
const both = "10.0.0.5,fd00::5";

describe("berth.port", () => {
  const of = (labels: Record<string, string>, ports = published(8080, 32768)) =>
    reachOf([containerOf("web", { labels, ports })], "web");

  test("adds a service port; the container port stays", () => {
    expect(of(labelled("berth.port.80=8080"))).toMatchObject({
      ports: [`80/tcp 32768@${both}`, `8080/tcp 32768@${both}`],
      problems: [],
    });
  });
  test("the same number on both sides adds nothing", () => {
    expect(of(labelled("berth.port.8080=8080")).ports).toEqual([`8080/tcp 32768@${both}`]);
  });
  test("leads all of the port's published ones", () => {
    const ports = [portOf(8080, { hostPort: 1 }), portOf(8080, { hostPort: 2, hostIp: "::" })];
    expect(of(labelled("berth.port.80=8080"), ports).ports).toContain("80/tcp 2@fd00::5");
  });
  test("UDP is another port", () => {
    expect(of(labelled("berth.port.80/udp=8080")).problems).toEqual([
      expect.stringMatching(
        /^no-port: service port 80\/udp leads to container port 8080\/udp, which is not published.*berth.publish=8080\/udp/,
      ),
    ]);
  });
  test("wins over a published port of that number, which is noted", () => {
    const ports = [...published(80, 1), ...published(8080, 2)];
    const found = of(labelled("berth.port.80=8080"), ports);
    expect(found.ports).toEqual([`80/tcp 2@${both}`, `8080/tcp 2@${both}`]);
    expect(found.notes).toEqual(["web: port 80/tcp itself is hidden by berth.port.80"]);
  });
});

describe("the host's network", () => {
  const of = (given: Partial<ContainerFacts>) =>
    reachOf([containerOf("web", { networkMode: "host", ports: [], ...given })], "web");

  test("EXPOSEd ports are open on all advertised addresses, at their own number", () => {
    expect(of({ exposed: exposedOf("80", "53/udp") }).ports).toEqual([
      `53/udp 53@${both} fixed`,
      `80/tcp 80@${both} fixed`,
    ]);
  });
  test("berth.port says which there are, whatever is EXPOSEd", () => {
    const found = of({ exposed: exposedOf("9000"), labels: labelled("berth.port.80=8080") });
    expect(found.ports).toEqual([`80/tcp 8080@${both} fixed`, `8080/tcp 8080@${both} fixed`]);
  });
  test("VIRTUAL_PORT says it where nothing else does", () => {
    expect(of({ env: { VIRTUAL_HOST: "a", VIRTUAL_PORT: "3000" } }).ports).toEqual([
      `3000/tcp 3000@${both} fixed`,
    ]);
  });
  test("nothing said declares nothing; a berth.name is told how", () => {
    expect(of({})).toMatchObject({ ports: [], problems: [] });
    expect(of({ labels: { "berth.name": "web" } }).problems).toEqual([
      expect.stringMatching(/host's network.*berth\.port\.80=80/),
    ]);
  });
});

describe("another container's network", () => {
  const owner = containerOf("vpn", { ports: [...published(80, 1), ...published(9000, 2)] });
  const guest = (given: Partial<ContainerFacts> = {}) =>
    containerOf("web", { networkMode: `container:${owner.id}`, ports: [], ...given });

  test("the owner's published ports that the container EXPOSEs, or names, are its own", () => {
    const found = reachOf(
      [owner, guest({ exposed: exposedOf("80", "81"), labels: labelled("berth.port.90=9000") })],
      "web",
    );
    expect(found).toMatchObject({
      ports: [`80/tcp 1@${both}`, `90/tcp 2@${both}`, `9000/tcp 2@${both}`],
      problems: [],
    });
  });
  test("it names none: nothing, and berth.name is told", () => {
    expect(reachOf([owner, guest()], "web").ports).toEqual([]);
    const found = reachOf([owner, guest({ labels: { "berth.name": "web" } })], "web");
    expect(found.problems).toEqual([expect.stringMatching(/container vpn's network.*berth\.port\.80=80/)]);
  });
  test("an owner that has gone is a problem of one that wants a name, and nobody else's", () => {
    const gone = { ...owner, running: false, ports: [] };
    expect(reachOf([gone, guest({ exposed: exposedOf("80") })], "web").problems).toEqual([]);
    expect(reachOf([gone, guest({ labels: { "berth.name": "web" } })], "web").problems).toEqual([
      expect.stringMatching(/^no-port: its network is that of container vpn0+, which does not run/),
    ]);
  });
  test("of an owner that was started anew since is none any more, and a problem says what helps", () => {
    const anew = { ...owner, startedAt: "2026-11-22T10:00:01.5Z" };
    const guest = containerOf("web", {
      ...{ networkMode: `container:${owner.id}`, ports: [], labels: labelled("berth.port.80=80") },
      startedAt: "2026-11-22T10:00:01.400000001Z",
    });
    const found = reachOf([anew, guest], "web");
    expect(found.ports).toEqual([]);
    expect(found.problems).toEqual([expect.stringMatching(/vpn.*started anew.*restart this one too/)]);
    const restarted = { ...guest, startedAt: "2026-11-22T10:00:02Z" };
    expect(reachOf([anew, restarted], "web").ports).not.toEqual([]);
  });

  test("of an owner in the host's network, the container's own ports are the host's", () => {
    const host = containerOf("vpn", { networkMode: "host", ports: [] });
    expect(reachOf([host, guest({ exposed: exposedOf("80") })], "web").ports).toEqual([
      `80/tcp 80@${both} fixed`,
    ]);
  });
  test("a circle of containers ends", () => {
    const one = containerOf("aa", { networkMode: "container:bb", ports: [] });
    const other = containerOf("bb", { networkMode: "container:aa", ports: [] });
    expect(reachOf([one, other], "aa").ports).toEqual([]);
  });
  test("a new run of the owner moves the ports of a container that itself did not change", () => {
    const same = guest({ exposed: exposedOf("80") });
    expect(reachOf([owner, same], "web").ports).toEqual([`80/tcp 1@${both}`]);
    expect(reachOf([{ ...owner, ports: published(80, 7) }, same], "web").ports).toEqual([`80/tcp 7@${both}`]);
  });
});

test("a Swarm task without a port of its own is a problem with its reason; one with mode=host is like any other", () => {
  const task = containerOf("s.1.abc", { isSwarmTask: true, ports: [], exposed: exposedOf("80") });
  expect(reachOf([task], task.name)).toMatchObject({
    ports: [],
    problems: [expect.stringMatching(/^swarm-task: .*mode=host/)],
  });
  const host = containerOf("s.1.abc", { isSwarmTask: true });
  expect(reachOf([host], host.name)).toMatchObject({ ports: [`80/tcp 32768@${both}`], problems: [] });
});

test("of an engine that has ended only the ports a person chose are left", () => {
  const container = containerOf("web", {
    ports: [...published(80, 8080, { fixed: true }), ...published(443, 32768)],
  });
  const site = siteOf();
  const placed = { container, engine: "", site, isNear: true };
  expect(reachOf([], "web", { containers: [placed] }).ports).toHaveLength(2);
  expect(reachOf([], "web", { containers: [{ ...placed, fixedOnly: true }] }).ports).toEqual([
    `80/tcp 8080@${both} fixed`,
  ]);
});

describe("relays", () => {
  const networks = [networkOf("back", "172.19.0.2"), networkOf("shop", "fd01::3", "172.18.0.3")];
  const plain = (given: Partial<ContainerFacts> = {}) =>
    containerOf("db", { ports: [], exposed: exposedOf("5432", "53/udp"), networks, ...given });
  const asked = (value: string, given: Partial<ContainerFacts> = {}) =>
    plain({ labels: { "berth.publish": value }, ...given });
  const targets = (container: ContainerFacts, given: Partial<DeclareInput> = {}, all = false) => {
    const { relays } = declare(inputOf([container], given), rulesOf({ publishUnpublished: all }));
    return relays.map(({ key, protocol, target }) => `${key} ${protocol} ${target.address} ${target.port}`);
  };

  test("are wanted when asked for, by label or for the whole host", () => {
    const wanted = ["/db/5432/tcp tcp 172.19.0.2 5432", "/db/53/udp udp 172.19.0.2 53"];
    expect(targets(plain())).toEqual([]);
    expect(targets(asked("true"))).toEqual(wanted);
    expect(targets(plain(), {}, true)).toEqual(wanted);
    expect(targets(asked("false"), {}, true)).toEqual([]);
  });
  test("single ports need no EXPOSE", () => {
    expect(targets(asked("9000"))).toEqual(["/db/9000/tcp tcp 172.19.0.2 9000"]);
  });
  test("berth.network says where to dial; there IPv4 comes first", () => {
    const labels = labelled("berth.publish=5432", "berth.network=shop");
    expect(targets(plain({ labels }))).toEqual(["/db/5432/tcp tcp 172.18.0.3 5432"]);
  });
  test("a port that is published is none's, even to loopback", () => {
    expect(targets(asked("true", { ports: [portOf(5432, { hostIp: "127.0.0.1" })] }))).toEqual([
      "/db/53/udp udp 172.19.0.2 53",
    ]);
  });
  test("the key outlives the run, so that the port does", () => {
    const again = asked("5432", { id: "other".padEnd(64, "1"), startedAt: "2026-11-23T00:00:00Z" });
    expect(targets(again)).toEqual(targets(asked("5432")));
  });
  test("an open one is a port that is not fixed, on all addresses, also under an alias", () => {
    const relays = new Map([["/db/5432/tcp", { kind: "open" as const, port: 20_001 }]]);
    const container = plain({ labels: labelled("berth.publish=5432", "berth.port.5=5432") });
    expect(reachOf([container], "db").ports).toEqual([]);
    expect(reachOf([container], "db", { relays })).toMatchObject({
      ports: [`5/tcp 20001@${both}`, `5432/tcp 20001@${both}`],
      problems: [],
    });
  });
  test("one still being opened is no problem, and no port", () => {
    const labels = labelled("berth.publish=5432", "berth.port.5=5432", "berth.name=db");
    expect(reachOf([plain({ labels })], "db")).toMatchObject({ ports: [], problems: [] });
  });

  const faults: [string, ContainerFacts, Partial<DeclareInput>, RegExp][] = [
    [
      "one that could not be opened",
      asked("5432"),
      { relays: new Map([["/db/5432/tcp", { kind: "failed", fault: "no port is free" }]]) },
      /^not-relayed: port 5432\/tcp is not relayed: no port is free$/,
    ],
    [
      "a network it is not in",
      plain({ labels: labelled("berth.publish=5432", "berth.network=x") }),
      {},
      /berth\.network=x: .*its networks: back, shop/,
    ],
    [
      "no network at all",
      asked("5432", { networks: [] }),
      {},
      /no address of its own; connect it to a network/,
    ],
    [
      "nothing EXPOSEd",
      asked("true", { exposed: [] }),
      {},
      /name the ports, for example berth\.publish=8080/,
    ],
    [
      "an image that EXPOSEs a range",
      asked("true", { exposed: exposedOf(...Array.from({ length: 100 }, (_, at) => `${at + 1}`)) }),
      {},
      /^too-many: 100 of its ports/,
    ],
  ];
  test.each(faults)("%s is a problem", (_, container, given, message) => {
    expect(reachOf([container], "db", given).problems).toEqual([expect.stringMatching(message)]);
  });
  test("are never wanted when the operator has none, and whoever asks for one is told", () => {
    const off = rulesOf({ mayRelay: false });
    const told = declare(inputOf([asked("true")]), off);
    expect(told.relays).toEqual([]);
    expect(told.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^ports 5432\/tcp, 53\/udp cannot be relayed: .* --relay-ports off; publish/),
    ]);
    expect(declare(inputOf([plain()]), off).problems).toEqual([]);
  });
  test("of a range that an image EXPOSEs, the first 64 are relayed", () => {
    const range = exposedOf(...Array.from({ length: 100 }, (_, at) => `${at + 1}`));
    expect(targets(asked("true", { exposed: range }))).toHaveLength(64);
  });
  test("a container without a network is a problem only when it was asked for itself", () => {
    const lonely = plain({ networks: [] });
    const { problems } = declare(inputOf([lonely]), rulesOf({ publishUnpublished: true }));
    expect(problems).toEqual([]);
  });
  test("containers this machine does not reach are a problem", () => {
    const placed = { container: asked("true"), engine: "", site: siteOf(), isNear: false };
    const found = reachOf([], "db", { containers: [placed] });
    expect(found.relays).toEqual([]);
    expect(found.problems).toEqual([
      expect.stringMatching(/^not-relayed: ports 5432\/tcp, 53\/udp cannot be relayed.*publish the port/),
    ]);
  });
});
