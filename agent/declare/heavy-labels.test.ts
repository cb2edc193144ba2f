import { expect, test } from "vitest";

import { type ContainerFacts, factsFromInspect } from "../engine/facts.ts";
import { containerOf, exposedOf, inputOf, inspectOf, portOf, rulesOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { explain } from "./explain.ts";
import { parseNameTemplate } from "./name-template.ts";

/** What makes a careless pattern or loop look again and again at the same text. */
const shapes = [
  ...[
    "(",
    ",",
    ".",
    "-",
    "`",
    "!",
    "a",
    "0",
    "_",
    "/",
    "=",
    " ",
    "Host(",
    "Host(`",
    "Host(a ",
    "! Host ",
    "!  (",
  ],
  ...[
    "HostRegexp((",
    "Host(`a`)",
    "`,",
    "a,",
    "a.",
    "-a",
    "1s",
    "1.",
    "80,",
    "80/udp,",
    "http:/a,",
    ", a=",
    "İ",
  ],
];

/** Every label and variable that some rule reads. */
const keys = {
  labels: [
    ...["name", "http", "ignore", "tls", "weight", "priority", "health", "check", "publish", "network"].map(
      (key) => `berth.${key}`,
    ),
    ...["berth.port.80", "berth.txt.key", "berth.nmae", "com.docker.compose.container-number"],
    ...["com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.oneoff"],
    ...["SERVICE_NAME", "SERVICE_CHECK_HTTP", "SERVICE_CHECK_INTERVAL", "SERVICE_80_CHECK_TCP"],
    ...["traefik.enable", "traefik.http.routers.a.rule", "traefik.http.routers.a.service"],
    ...["traefik.tcp.routers.a.rule", "traefik.http.services.a.loadbalancer.server.port"],
    ...["com.dnsdock.alias", "com.dnsdock.name", "com.dnsdock.image", "org.example.team"],
  ],
  env: ["SERVICE_NAME", "VIRTUAL_HOST", "VIRTUAL_PORT", "DNSDOCK_ALIAS", "DNSDOCK_NAME", "HOSTNAMES"],
};
const rules = rulesOf({
  template: parseNameTemplate("{label.org.example.team}|{env.SERVICE_NAME}-{number}|{container}"),
});

/** All that the agent, and whoever asks it about the container, make of it. */
function readAll(container: ContainerFacts): void {
  const input = inputOf([container]);
  declare(input, rules);
  expect(explain(input, rules, container.name)).toBeDefined();
  explain(input, rules, "elsewhere.shop");
}

/** Where something looks at a text once for each of its characters it takes minutes; where nothing does, a part of a second. */
const timeout = 20_000;

test.each(shapes)("long labels and variables made of %j are read in one go", { timeout }, (shape) => {
  const text = shape.repeat(2 ** 17 / shape.length);
  for (const key of keys.labels) readAll(containerOf("web", { labels: { [key]: text } }));
  for (const key of keys.env) readAll(containerOf("web", { env: { [key]: text } }));
});

test("seven hundred rules of 16 KiB hold nobody up", { timeout }, () => {
  const rule = "Host(".repeat(16_384 / 5);
  const routers = Array.from({ length: 700 }, (_, at) => [`traefik.http.routers.r${at}.rule`, rule]);
  readAll(containerOf("web", { labels: Object.fromEntries(routers) }));
});

test("of a container with a megabyte in each label and variable little is kept", { timeout }, () => {
  for (const shape of shapes) {
    const text = shape.repeat(2 ** 20 / shape.length);
    const labels = Object.fromEntries(keys.labels.map((key) => [key, text]));
    const Env = keys.env.map((key) => `${key}=${text}`);
    const facts = factsFromInspect(inspectOf("web", { labels, config: { Env } }));
    expect(JSON.stringify(facts).length).toBeLessThan(4_000);
    readAll(facts);
  }
});

/** All from 1000 on, for both address families, as a container in the host's network or with a range in its image can have. */
const numbers = Array.from({ length: 64_536 }, (_, at) => at + 1_000);
const ports = ["0.0.0.0", "::"].flatMap((hostIp) =>
  numbers.map((port) => portOf(port, { hostIp, hostPort: port })),
);
const exposed = exposedOf(...numbers.map(String));
const labelsOf = (entryOf: (at: number) => [string, string]) =>
  Object.fromEntries(Array.from({ length: 500 }, (_, at) => entryOf(at)));
const hostsOf = (at: number) => Array.from({ length: 64 }, (_, host) => `\`h${at}-${host}\``).join();
const routers = labelsOf((at) => [`traefik.http.routers.r${at}.rule`, `Host(${hostsOf(at)})`]);

test.each<{ desc: string; given: Partial<ContainerFacts> }>([
  { desc: "a name for each", given: { env: { SERVICE_NAME: "x" } } },
  {
    desc: "one name for many",
    given: { env: { SERVICE_NAME: "x" }, labels: labelsOf((at) => [`SERVICE_${at + 1_000}_NAME`, "x"]) },
  },
  { desc: "settings nobody reads", given: { labels: labelsOf((at) => [`SERVICE_A${at}`, "x"]) } },
  { desc: "names that lead to the lowest", given: { labels: routers } },
])("a container that has every port, and $desc, holds nobody up", { timeout: 10_000 }, ({ given }) => {
  readAll(containerOf("wide", { ports, exposed, ...given }));
});
