import { expect, test } from "vitest";
import { type InspectParts, inspectOf, networkOf } from "../testing/builders.ts";
import { type ContainerFacts, factsFromInspect } from "./facts.ts";

const wildcard = (port: string) => [
  { HostIp: "0.0.0.0", HostPort: port },
  { HostIp: "::", HostPort: port },
];

// The shapes Docker 20.10 and Podman 4.3 were seen to answer with.
const shapes: { desc: string; parts: InspectParts; ports: string[] }[] = [
  { desc: "-p 80", parts: {}, ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"] },
  {
    desc: "-P asks for no binding",
    parts: { asked: {} },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"],
  },
  {
    desc: "-p 8080:80 is fixed",
    parts: { asked: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] }, ports: { "80/tcp": wildcard("8080") } },
    ports: ["tcp 80 0.0.0.0:8080 fixed", "tcp 80 :::8080 fixed"],
  },
  {
    desc: "-p 9000-9010:80 is a range, so Docker chose",
    parts: {
      asked: { "80/tcp": [{ HostIp: "", HostPort: "9000-9010" }] },
      ports: { "80/tcp": wildcard("9000") },
    },
    ports: ["tcp 80 0.0.0.0:9000", "tcp 80 :::9000"],
  },
  {
    desc: "-p 0:80 leaves the choice to Docker",
    parts: { asked: { "80/tcp": [{ HostIp: "", HostPort: "0" }] } },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"],
  },
  {
    desc: "-p 80 -p 8080:80: one of the two was chosen by a person",
    parts: {
      asked: { "80/tcp": [{ HostPort: "" }, { HostPort: "8080" }] },
      ports: {
        "80/tcp": [
          { HostIp: "0.0.0.0", HostPort: "32768" },
          { HostIp: "0.0.0.0", HostPort: "8080" },
        ],
      },
    },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 0.0.0.0:8080 fixed"],
  },
  {
    desc: "-p 80 -p 443 -p 53/udp",
    parts: {
      ports: { "443/tcp": wildcard("32769"), "53/udp": wildcard("32768"), "80/tcp": wildcard("32768") },
    },
    ports: [
      "tcp 443 0.0.0.0:32769",
      "tcp 443 :::32769",
      "udp 53 0.0.0.0:32768",
      "udp 53 :::32768",
      "tcp 80 0.0.0.0:32768",
      "tcp 80 :::32768",
    ],
  },
  {
    desc: "-p 127.0.0.1::80",
    parts: { ports: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "32768" }] } },
    ports: ["tcp 80 127.0.0.1:32768"],
  },
  {
    desc: "IPv4 and IPv6 host ports differ",
    parts: {
      ports: {
        "80/tcp": [
          { HostIp: "0.0.0.0", HostPort: "32799" },
          { HostIp: "::", HostPort: "32800" },
        ],
      },
    },
    ports: ["tcp 80 0.0.0.0:32799", "tcp 80 :::32800"],
  },
  {
    desc: "Podman: one entry, HostIp empty",
    parts: { ports: { "80/tcp": [{ HostIp: "", HostPort: "40000" }] } },
    ports: ["tcp 80 :40000"],
  },
  {
    desc: "one binding told twice",
    parts: { ports: { "80/tcp": [...wildcard("32768"), ...wildcard("32768")] } },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"],
  },
  { desc: "EXPOSE without -p", parts: { ports: { "80/tcp": null } }, ports: [] },
  { desc: "--network host", parts: { ports: {}, networkMode: "host" }, ports: [] },
  { desc: "exited, with its old ports still there", parts: { state: { Running: false } }, ports: [] },
  { desc: "paused", parts: { state: { Paused: true } }, ports: [] },
  { desc: "between two restarts", parts: { state: { Restarting: true } }, ports: [] },
];

test.each(shapes)("ports: $desc", ({ parts, ports }) => {
  const facts = factsFromInspect(inspectOf("web", parts));
  const shown = facts.ports.map(
    ({ protocol, containerPort, hostIp, hostPort, fixed }) =>
      `${protocol} ${containerPort} ${hostIp}:${hostPort}${fixed ? " fixed" : ""}`,
  );
  expect(shown).toEqual(ports);
});

test("names lose Docker's slash; labels and health may be missing or null", () => {
  const facts = factsFromInspect(inspectOf("web", { labels: null, state: { Health: null } }));
  expect(facts).toMatchObject({ name: "web", labels: {}, health: "none", compose: undefined });
});

test("health is told as Docker tells it", () => {
  const facts = factsFromInspect(inspectOf("web", { state: { Health: { Status: "unhealthy" } } }));
  expect(facts.health).toBe("unhealthy");
});

test("Compose's labels name project and service, and its one-off containers", () => {
  const labels = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.oneoff": "True",
  };
  expect(factsFromInspect(inspectOf("shop_web_run_1", { labels })).compose).toEqual({
    project: "shop",
    service: "web",
    oneoff: true,
  });
});

test("an answer that is no container's description is a fault that says where it differs", () => {
  const { State: _, ...rest } = inspectOf("web");
  expect(() => factsFromInspect(rest)).toThrow(/State/);
});

test("Podman writes the port it chose where people's choices stand: what it can have chosen is not fixed", () => {
  const at = (HostPort: string) => ({ "80/tcp": [{ HostIp: "", HostPort }] });
  const isFixed = (port: string, isPodman: boolean) =>
    factsFromInspect(inspectOf("web", { asked: at(port), ports: at(port) }), { isPodman }).ports[0]?.fixed;
  expect([isFixed("40000", true), isFixed("8080", true)]).toEqual([false, true]);
  expect([isFixed("40000", false), isFixed("8080", false)]).toEqual([true, true]);
});

test("exposed ports are sorted, each once, and what is no port is left out", () => {
  const ExposedPorts = { "443/tcp": {}, "80/tcp": {}, "53/udp": {}, "80": {}, "70000/tcp": {}, "x/tcp": {} };
  const { exposed } = factsFromInspect(inspectOf("web", { config: { ExposedPorts } }));
  const shown = exposed.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  expect(shown).toEqual(["53/udp", "80/tcp", "443/tcp"]);
});

test("of its environment only what names services is kept", () => {
  const Env = [
    "POSTGRES_PASSWORD=secret",
    "SERVICE_NAME=db",
    "SERVICE_5432_NAME=pg=1",
    "SERVICE_KEY=secret",
    "SERVICE_80_CHECK_HTTP=/",
    "VIRTUAL_HOST=db.lab",
    "VIRTUAL_PATH=/x",
    "DNSDOCK_ALIAS=db",
    "HOSTNAMES=a,b",
    "__proto__=x",
    "NOTHING",
  ];
  const { env } = factsFromInspect(inspectOf("web", { config: { Env } }));
  expect(env).toEqual({
    SERVICE_NAME: "db",
    SERVICE_5432_NAME: "pg=1",
    SERVICE_80_CHECK_HTTP: "/",
    VIRTUAL_HOST: "db.lab",
    DNSDOCK_ALIAS: "db",
    HOSTNAMES: "a,b",
  });
});

test("labels and variables too long to be read are told of together; the others stand", () => {
  const text = "x".repeat(5_000);
  const labels = { "berth.name": text, "berth.http": "80", "com.docker.swarm.task.id": text };
  const facts = factsFromInspect(inspectOf("web", { labels, config: { Env: [`VIRTUAL_HOST=${text}`] } }));
  expect(facts).toMatchObject({ env: {}, isSwarmTask: true });
  expect(facts.labels).toEqual({ "berth.http": "80", "com.docker.swarm.task.id": "" });
  expect(facts.unread).toMatch(/^label berth\.name is not read: .*; variable VIRTUAL_HOST is not read: /);
  expect(factsFromInspect(inspectOf("web")).unread).toBeUndefined();
});

test.each([
  [undefined, "SIGTERM"],
  ["", "SIGTERM"],
  ["SIGQUIT", "SIGQUIT"],
  ["quit", "SIGQUIT"],
  ["3", "SIGQUIT"],
  [15, "SIGTERM"],
  ["37", "SIGRTMIN+3"],
  ["SIGRTMIN+3", "SIGRTMIN+3"],
  ["RTMAX-1", "SIGRTMIN+29"],
  ["nonsense", "SIGTERM"],
])("the stop signal %s is %s", (StopSignal, expected) => {
  expect(factsFromInspect(inspectOf("web", { config: { StopSignal } })).stopSignal).toBe(expected);
});

test("a task of a Swarm service is one", () => {
  const labels = { "com.docker.swarm.task.id": "x" };
  expect(factsFromInspect(inspectOf("web", { labels })).isSwarmTask).toBe(true);
  expect(factsFromInspect(inspectOf("web")).isSwarmTask).toBe(false);
});

/** What engines newer or older than those run here answer, cut to what counts: by recorded and documented shape, not run. */
const shapesNotRun: [string, Record<string, unknown>, Partial<ContainerFacts>][] = [
  [
    "Docker 28 (API 1.48): every network with its names, nothing at the top",
    {
      Config: { Image: "nginx:1.27", Env: null, ExposedPorts: { "80/tcp": {} }, Labels: {} },
      HostConfig: { NetworkMode: "shop_default", PortBindings: {} },
      NetworkSettings: {
        Bridge: "",
        IPAddress: "",
        GlobalIPv6Address: "",
        Ports: { "80/tcp": null },
        Networks: {
          shop_default: {
            IPAddress: "172.18.0.2",
            GlobalIPv6Address: "fd00:18::2",
            DNSNames: ["shop-web-1", "web"],
            GwPriority: 0,
            DriverOpts: null,
          },
          back: { IPAddress: "172.19.0.5", GlobalIPv6Address: "", DNSNames: null, GwPriority: 0 },
        },
      },
    },
    {
      image: "nginx:1.27",
      networks: [networkOf("back", "172.19.0.5"), networkOf("shop_default", "172.18.0.2", "fd00:18::2")],
    },
  ],
  [
    "Docker 29 (API 1.52): what is unset is left out, the top-level address too",
    {
      Config: { Image: "nginx:1.27" },
      HostConfig: { NetworkMode: "bridge", PortBindings: null },
      NetworkSettings: { Ports: null, Networks: { bridge: { IPAddress: "172.17.0.2" } } },
    },
    { labels: {}, env: {}, ports: [], exposed: [], networks: [networkOf("bridge", "172.17.0.2")] },
  ],
  [
    "a container in the host's network",
    {
      Config: { ExposedPorts: { "80/tcp": {} } },
      HostConfig: { NetworkMode: "host" },
      NetworkSettings: { Ports: {}, Networks: { host: { IPAddress: "", GlobalIPv6Address: "" } } },
    },
    { networkMode: "host", networks: [networkOf("host")], exposed: [{ containerPort: 80, protocol: "tcp" }] },
  ],
  [
    "rootless Podman: no networks, no address",
    {
      Config: { StopSignal: 15, ExposedPorts: null, Labels: null },
      HostConfig: {
        NetworkMode: "slirp4netns",
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "40000" }] },
      },
      NetworkSettings: {
        IPAddress: "",
        Ports: { "80/tcp": [{ HostIp: "", HostPort: "40000" }] },
        Networks: null,
      },
    },
    { stopSignal: "SIGTERM", networks: [] },
  ],
  [
    "older Podman: its default network at the top alone",
    {
      Config: {},
      HostConfig: { NetworkMode: "bridge" },
      NetworkSettings: { IPAddress: "10.88.0.4", Ports: {}, Networks: {} },
    },
    { networks: [networkOf("bridge", "10.88.0.4")] },
  ],
];

test.each(shapesNotRun)("%s", (_, answer, expected) => {
  expect(factsFromInspect({ ...inspectOf("web"), ...answer })).toMatchObject(expected);
});

test("a container that does not run is in no network", () => {
  const answer = { NetworkSettings: { Networks: { bridge: { IPAddress: "172.17.0.2" } } } };
  const state = { Running: false };
  expect(factsFromInspect({ ...inspectOf("web", { state }), ...answer }).networks).toEqual([]);
});
