import { expect, test } from "vitest";
import { displayName } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { containerOf, exposedOf, zone } from "../testing/builders.ts";
import { namingFamilies } from "./families.ts";
import type { Family } from "./input.ts";
import type { PortKey } from "./ports.ts";

/** `name`, `name@container ports`, `name http=port`; `ignored`; and what is noted. */
function readingOf(
  family: Family,
  given: Partial<ContainerFacts>,
  ports: string[],
): { names: string[]; notes: string } {
  const reader = namingFamilies.find((one) => one.family === family);
  const keys = exposedOf(...ports) as PortKey[];
  const reading = reader?.read({ container: containerOf("web_1", given), ports: keys, zone });
  const names = (reading?.names ?? []).map(({ name, ports: own, http }) => {
    const of = own === undefined ? "" : `@${[...own].join()}`;
    return `${displayName(name).replace(".berth.internal", "")}${of}${http === undefined ? "" : ` http=${http}`}`;
  });
  return {
    names: reading?.ignored === undefined ? names : [`ignored: ${reading.ignored}`],
    notes: (reading?.notes ?? []).join("\n"),
  };
}

interface FamilyCase {
  family: Family;
  desc: string;
  env?: Record<string, string>;
  labels?: Record<string, string>;
  ports?: string[];
  names: string[];
  notes?: RegExp;
}

const host = (rule: string) => ({ "traefik.http.routers.a.rule": rule });
const cases: FamilyCase[] = [
  { family: "registrator", desc: "nothing said", names: [] },
  { family: "registrator", desc: "one port", env: { SERVICE_NAME: "db" }, names: ["db@80"] },
  {
    family: "registrator",
    desc: "a name with dots, as people call things",
    env: { SERVICE_NAME: "My_DB.shop" },
    names: ["my-db.shop@80"],
  },
  {
    family: "registrator",
    desc: "a name in the zone already",
    env: { SERVICE_NAME: "db.berth.internal" },
    names: ["db@80"],
  },
  {
    family: "registrator",
    desc: "several ports: x, and x-<port> for each",
    env: { SERVICE_NAME: "x" },
    ports: ["80", "443"],
    names: ["x@80,443", "x-80@80", "x-443@443"],
  },
  {
    family: "registrator",
    desc: "one number for TCP and UDP is one port",
    env: { SERVICE_NAME: "dns" },
    ports: ["53", "53/udp"],
    names: ["dns@53"],
  },
  {
    family: "registrator",
    desc: "a port's own name beats the general one",
    env: { SERVICE_NAME: "x", SERVICE_443_NAME: "tls" },
    ports: ["80", "443"],
    names: ["x@80", "x-80@80", "tls@443"],
  },
  {
    family: "registrator",
    desc: "two ports of one name",
    env: { SERVICE_80_NAME: "a", SERVICE_443_NAME: "a" },
    ports: ["80", "443"],
    names: ["a@80,443"],
  },
  { family: "registrator", desc: "a port that is not there", env: { SERVICE_81_NAME: "a" }, names: [] },
  {
    family: "registrator",
    desc: "the label beats the variable",
    env: { SERVICE_NAME: "env" },
    labels: { SERVICE_NAME: "label" },
    names: ["label@80"],
  },
  {
    family: "registrator",
    desc: "keys of any case behind SERVICE_",
    labels: { SERVICE_name: "x" },
    names: ["x@80"],
  },
  {
    family: "registrator",
    desc: "ignored by any text",
    env: { SERVICE_NAME: "x", SERVICE_IGNORE: "false" },
    names: ["ignored: SERVICE_IGNORE is set"],
  },
  {
    family: "registrator",
    desc: "an empty ignore ignores nothing",
    env: { SERVICE_NAME: "x", SERVICE_IGNORE: "" },
    names: ["x@80"],
  },
  {
    family: "registrator",
    desc: "one port ignored",
    env: { SERVICE_NAME: "x", SERVICE_443_IGNORE: "1" },
    ports: ["80", "443"],
    names: ["x@80", "x-80@80"],
    notes: /SERVICE_443_IGNORE is set/,
  },
  {
    family: "registrator",
    desc: "a reserved name",
    env: { SERVICE_NAME: "ns" },
    names: [],
    notes: /SERVICE_NAME: ns is refused: it is reserved/,
  },
  {
    family: "registrator",
    desc: "no name at all",
    env: { SERVICE_NAME: "___" },
    names: [],
    notes: /gives no DNS name/,
  },

  {
    family: "nginx-proxy",
    desc: "one label goes below the zone",
    env: { VIRTUAL_HOST: "Shop" },
    names: ["shop"],
  },
  {
    family: "nginx-proxy",
    desc: "a list, and the port for 80",
    env: { VIRTUAL_HOST: "a, b.berth.internal,", VIRTUAL_PORT: "8080" },
    names: ["a http=8080", "b http=8080"],
  },
  {
    family: "nginx-proxy",
    desc: "a name of another zone is a note",
    env: { VIRTUAL_HOST: "a.example.com,b" },
    names: ["b"],
    notes: /a\.example\.com is not in the zone berth\.internal/,
  },
  {
    family: "nginx-proxy",
    desc: "patterns are notes",
    env: { VIRTUAL_HOST: "*.a,b.*,~^c\\d+$" },
    names: [],
    notes: /^(VIRTUAL_HOST: \S+ is a pattern, and a container's name is one name\n?){3}$/,
  },
  { family: "nginx-proxy", desc: "labels are not read", labels: { VIRTUAL_HOST: "a" }, names: [] },
  {
    family: "nginx-proxy",
    desc: "a port that is none",
    env: { VIRTUAL_HOST: "a", VIRTUAL_PORT: "web" },
    names: ["a"],
    notes: /VIRTUAL_PORT: web is no container port/,
  },
  {
    family: "nginx-proxy",
    desc: "VIRTUAL_HOST_MULTIPORTS is said not to be read",
    env: { VIRTUAL_HOST_MULTIPORTS: "a:" },
    names: [],
    notes: /MULTIPORTS is not read/,
  },

  { family: "traefik", desc: "Host in backticks", labels: host("Host(`a`)"), names: ["a"] },
  {
    family: "traefik",
    desc: "several, with other matchers",
    labels: host('Host("a") && PathPrefix(`/x`) || ( Host(`b`,`c.berth.internal`) )'),
    names: ["a", "b", "c"],
  },
  {
    family: "traefik",
    desc: "not where it is denied",
    labels: host("!Host(`a`) && Host(`b`)"),
    names: ["b"],
  },
  {
    family: "traefik",
    desc: "no name of a pattern",
    labels: host("HostRegexp(`^a$`)"),
    names: [],
    notes: /HostRegexp gives no name/,
  },
  {
    family: "traefik",
    desc: "no name of a pattern with groups, which hides no other matcher",
    labels: host("HostRegexp(`^(a|b)$`) || Host(`c`)"),
    names: ["c"],
    notes: /^traefik http router a: HostRegexp gives no name$/,
  },
  {
    family: "traefik",
    desc: "brackets where none belong, and none where one does",
    labels: host("Host(`a(b)`) || Host(`c`) || !Host(`d(`) || HostHeader(`e`"),
    names: ["c"],
    notes:
      /^traefik http router a: Host has no .* inside\ntraefik http router a: HostHeader has no closing bracket/,
  },
  {
    family: "traefik",
    desc: "keys of any case",
    labels: { "Traefik.HTTP.Routers.A.Rule": "Host(`a`)" },
    names: ["a"],
  },
  {
    family: "traefik",
    desc: "HostSNI, and the catch-all without names",
    labels: { "traefik.tcp.routers.a.rule": "HostSNI(`db`)", "traefik.tcp.routers.b.rule": "HostSNI(`*`)" },
    names: ["db"],
  },
  {
    family: "traefik",
    desc: "the container's only service says the port",
    labels: { ...host("Host(`a`)"), "traefik.http.services.s.loadbalancer.server.port": "9000" },
    ports: ["8080", "9000"],
    names: ["a http=9000"],
  },
  {
    family: "traefik",
    desc: "each router's own service does",
    labels: {
      ...{ "traefik.http.routers.a.rule": "Host(`a`)", "traefik.http.routers.a.service": "s1" },
      ...{ "traefik.http.routers.b.rule": "Host(`b`)", "traefik.http.routers.b.service": "S2@docker" },
      "traefik.http.services.s1.loadbalancer.server.port": "8080",
      "traefik.http.services.s2.loadbalancer.server.port": "9000",
    },
    ports: ["8080", "9000"],
    names: ["a http=8080", "b http=9000"],
  },
  {
    family: "traefik",
    desc: "without one the lowest port",
    labels: host("Host(`a`)"),
    ports: ["9000", "8080", "53/udp"],
    names: ["a http=8080"],
  },
  {
    family: "traefik",
    desc: "a real port 80 stays what it is",
    labels: host("Host(`a`)"),
    ports: ["22", "80"],
    names: ["a"],
  },
  {
    family: "traefik",
    desc: "traefik.enable=false",
    labels: { ...host("Host(`a`)"), "traefik.enable": "false" },
    names: ["ignored: traefik.enable is false"],
  },
  {
    family: "traefik",
    desc: "traefik.enable=true",
    labels: { ...host("Host(`a`)"), "traefik.enable": "true" },
    names: ["a"],
  },

  {
    family: "dnsdock",
    desc: "aliases",
    labels: { "com.dnsdock.alias": "a,b.berth.internal" },
    names: ["a", "b"],
  },
  {
    family: "dnsdock",
    desc: "the label beats the variable",
    labels: { "com.dnsdock.alias": "a" },
    env: { DNSDOCK_ALIAS: "b" },
    names: ["a"],
  },
  { family: "dnsdock", desc: "name and image", env: { DNSDOCK_NAME: "api" }, names: ["api.nginx"] },
  {
    family: "dnsdock",
    desc: "an image alone goes with the container's name",
    labels: { "com.dnsdock.image": "shop" },
    names: ["web-1.shop"],
  },
  {
    family: "dnsdock",
    desc: "HOSTNAMES, without its patterns",
    env: { HOSTNAMES: "a,.b,/c/" },
    names: ["a"],
    notes: /HOSTNAMES: \.b is a pattern/,
  },
  {
    family: "dnsdock",
    desc: "ignored by being there",
    labels: { "com.dnsdock.ignore": "", "com.dnsdock.alias": "a" },
    names: ["ignored: com.dnsdock.ignore is set"],
  },
];

test.each(cases)("$family: $desc", ({ family, env = {}, labels = {}, ports = ["80"], names, notes }) => {
  const found = readingOf(family, { env, labels }, ports);
  expect(found.names).toEqual(names);
  expect(found.notes).toMatch(notes ?? /^$/);
});

test("a list of thousands gives the first 64 names, and says so", () => {
  const many = Array.from({ length: 5_000 }, (_, index) => `n${index}`).join();
  const { names, notes } = readingOf("nginx-proxy", { env: { VIRTUAL_HOST: many } }, ["80"]);
  expect(names).toHaveLength(64);
  expect(notes).toBe("VIRTUAL_HOST: the names after the first 64 are left out");
});

test("a rule made to be slow to read is read in no time worth speaking of", () => {
  const { names } = readingOf("traefik", { labels: host("Host(".repeat(200_000)) }, ["80"]);
  expect(names).toEqual([]);
});
