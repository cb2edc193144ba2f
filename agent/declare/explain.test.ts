import { describe, expect, test } from "vitest";
import type { Name } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import {
  containerOf,
  exposedOf,
  inputOf,
  networkOf,
  placedOf,
  portOf,
  rulesOf,
} from "../testing/builders.ts";
import { explain } from "./explain.ts";
import type { DeclaredService, DeclareInput, DeclareRules } from "./input.ts";
import { parseSelectors } from "./selectors.ts";
import { checksOfService } from "./services.ts";

const shop = { project: "shop", service: "web", oneoff: false };
const web = containerOf("shop_web_1", {
  id: "0123abcd".padEnd(64, "0"),
  ...{
    compose: shop,
    health: "healthy",
    exposed: exposedOf("80", "9000"),
    networks: [networkOf("front", "172.18.0.2")],
  },
  labels: {
    "berth.check": "http:/up",
    "berth.txt.k": "v",
    "secret.token": "hunter2",
    "berth.passwort": "hunter2",
    "traefik.enable": "false",
  },
  env: { VIRTUAL_HOST: "a.example.com" },
});

function textOf(
  what: string,
  containers: ContainerFacts[],
  given: Partial<DeclareInput> = {},
  rules: Partial<DeclareRules> = {},
): string {
  return explain(inputOf(containers, given), rulesOf(rules), what)?.join("\n") ?? "nothing";
}

describe("a container", () => {
  const text = textOf("shop_web_1", [web]);
  const told: [string, string | RegExp][] = [
    ["who it is", "container shop_web_1 (0123abcd0000), image nginx:1.27"],
    ["since when it runs", "runs since 2026-11-22T10:00:00Z"],
    ["its own health", "its own HEALTHCHECK says: healthy"],
    ["its networks", "network front: 172.18.0.2"],
    [
      "what it publishes",
      "publishes 80/tcp at [::]:32768 (chosen by the engine, another one after a restart)",
    ],
    ["what it EXPOSEs", "EXPOSEs 80/tcp, 9000/tcp"],
    ["labels that rules read", "label berth.check=http:/up"],
    ["variables that rules read", "variable VIRTUAL_HOST=a.example.com"],
    ["what gave its name", "name web.shop.berth.internal: by the name template's {service}.{project}"],
    [
      "its name below the host",
      "name shop-web-1.alpha.host.berth.internal: every container has it below its host",
    ],
    ["a family that has nothing", "registrator: gives no name"],
    ["a family whose names are no good", "nginx-proxy: gives no name, see the notes"],
    ["why not", /note: VIRTUAL_HOST: a\.example\.com is not in the zone berth\.internal/],
    ["a family that it is kept out of", "traefik: gives no name, because traefik.enable is false"],
    [
      "where a port leads",
      /port 80\/tcp leads to 10\.0\.0\.5:32768, \[fd00::5\]:32768: ephemeral, health starting/,
    ],
    ["a port that leads nowhere", "port 9000/tcp is EXPOSEd and not published, so it leads nowhere"],
    ["its checks", "check, GET /up from 172.18.0.2:80 every 10 s: not made yet, so starting"],
    ["that it is steady", "damping: steady"],
  ];
  test.each(told)("is told %s", (_, part) =>
    expect(text).toMatch(typeof part === "string" ? RegExp(escaped(part)) : part),
  );

  test("is not told the values of labels that no rule reads", () =>
    expect(text).not.toMatch(/hunter2|secret\.token/));

  test("is found by the beginning of its id, of four digits at least", () => {
    expect(textOf("0123AB", [web])).toBe(text);
    expect(textOf("012", [web])).toBe("nothing");
  });

  test.each([
    ["does not run", { running: false }, /nothing of it is declared: it does not run/],
    ["was made by compose run", { compose: { ...shop, oneoff: true } }, /made by docker compose run/],
    ["is ignored", { labels: { "berth.ignore": "true" } }, /ignored by label/],
    ["publishes nothing", { ports: [] }, /no names: none of its ports can be reached/],
    [
      "has a private port",
      { ports: [portOf(80, { hostIp: "127.0.0.1" })] },
      /note: port 80\/tcp is bound to loopback/,
    ],
    [
      "has a wrong label",
      { labels: { "berth.nmae": "x" } },
      /problem bad-label: berth knows no label berth\.nmae/,
    ],
  ] as [string, Partial<ContainerFacts>, RegExp][])("that %s is told so", (_, given, message) => {
    expect(textOf("shop_web_1", [{ ...web, ...given }])).toMatch(message);
  });

  test("of Compose's making is told that its name is a temporary one", () => {
    const temporary = containerOf("0123456789ab_shop_web_1", { compose: shop });
    expect(textOf(temporary.name, [temporary])).toMatch(
      /Compose is replacing it: its name is a temporary one/,
    );
  });

  test("is told of selectors, relays, damping, families that are off or come later", () => {
    const given = {
      flapping: new Set([web.id]),
      relays: new Map([["/shop_web_1/9000/tcp", { kind: "open" as const, port: 20_000 }]]),
    };
    const named = { ...web, env: { SERVICE_NAME: "api", VIRTUAL_HOST: "b" } };
    const families = new Set(["registrator", "nginx-proxy"] as const);
    const rules = { publishUnpublished: true, families, only: parseSelectors("label:secret.token") };
    const shown = textOf("shop_web_1", [named], given, rules);
    expect(shown).toMatch(/selectors: --only label:secret\.token let it in/);
    expect(shown).toMatch(/relay to 172\.18\.0\.2:9000\/tcp: open at port 20000/);
    expect(shown).not.toMatch(/9000\/tcp is EXPOSEd and not published/);
    expect(shown).toMatch(/damping: it restarts/);
    expect(shown).toMatch(/traefik: switched off with --families/);
    expect(shown).toMatch(/registrator: gives api\.berth\.internal/);
    expect(shown).toMatch(/nginx-proxy: would give b\.berth\.internal, but registrator comes first/);
    expect(textOf("shop_web_1", [named], {}, { only: parseSelectors("label:x") })).toMatch(
      /--only label:x leaves it out/,
    );
  });

  test("of the same name on two engines is told twice", () => {
    const containers = ["docker", "podman"].map((engine) => placedOf({ ...web, id: engine }, { engine }));
    expect(
      textOf("shop_web_1", [], { containers }).match(/on the engine (docker|podman), image/g),
    ).toHaveLength(2);
  });
});

test("a name the resolver does not grant is explained as such, for the name and for its container", () => {
  const refusals = new Map([["web.berth.internal." as Name, "web.berth.internal is held by host attic"]]);
  const input = inputOf([containerOf("web")], { refusals });
  const named = explain(input, rulesOf(), "web.berth.internal")?.join("\n");
  expect(named).toMatch(/^name web\.berth\.internal\n {2}not this host's: .*held by host attic/);
  expect(explain(input, rulesOf(), "web")?.join("\n")).toMatch(/name web.*does not grant it: .*attic/);
});

test.each([
  ["starting", /health starting, so hidden until/],
  ["unhealthy", /health unhealthy, so used only while no other instance serves/],
] as const)("%s says what the resolver makes of it", (health, expected) => {
  const input = inputOf([containerOf("web", { health })]);
  expect(explain(input, rulesOf(), "web")?.join("\n")).toMatch(expected);
});

describe("a name", () => {
  const db = containerOf("db");
  const taker = containerOf("zz", { labels: { "berth.name": "db" } });

  test.each(["web.shop", "web.shop.berth.internal", "WEB.shop.berth.internal.", "_80._tcp.web.shop", "shop"])(
    "is found as %s",
    (what) => {
      expect(textOf(what, [web])).toMatch(
        /^name web\.shop\.berth\.internal\n {2}80\/tcp of shop_web_1 \(by compose\) at 10\.0\.0\.5:32768/,
      );
    },
  );

  test("that another one has: who, and who not", () => {
    const other = [containerOf("xdb"), containerOf("yy", { labels: { "berth.name": "xdb" } })];
    const text = textOf("db.berth.internal", [db, taker, ...other]);
    expect(text).not.toMatch(/xdb/);
    expect(text).toMatch(/80\/tcp of zz \(by label\)/);
    expect(text).toMatch(/not of db: db\.berth\.internal belongs to container zz/);
  });

  test("that nobody has, and a container would have, leads to that container", () => {
    expect(textOf("web.shop", [{ ...web, ports: [] }])).toMatch(/^container shop_web_1/);
  });

  test("that a service of a file has, or would have once its check is healthy, leads to that", () => {
    const check = { httpPath: undefined, intervalMs: 10_000, timeoutMs: 3_000 };
    const service: DeclaredService = {
      ...{
        id: "db.toml#1",
        names: ["db.lab.berth.internal." as Name],
        protocol: "tcp",
        servicePort: 5432,
        port: 5432,
        addresses: undefined,
      },
      ...{ check, tls: false, txt: [], priority: 0, weight: 1 },
    };
    const hidden = textOf("db.lab", [web], { services: [service] });
    expect(hidden).toMatch(
      /^service db\.toml#1, declared in a file\n {2}name db\.lab\.berth\.internal\n {2}port 5432\/tcp leads to 10\.0\.0\.5:5432/,
    );
    expect(hidden).toMatch(
      /TCP connect to 10\.0\.0\.5:5432 every 10 s: not made yet, so it is not declared there$/m,
    );
    const key = checksOfService(service, inputOf([]).site)[0]?.key ?? "";
    const shown = textOf("db.toml#1", [web], { services: [service], checks: new Map([[key, "healthy"]]) });
    expect(shown).toMatch(/connect to 10\.0\.0\.5:5432 every 10 s: healthy$/m);
    expect(shown).toMatch(
      /connect to \[fd00::5\]:5432 every 10 s: not made yet, so it is not declared there$/,
    );
  });

  test("that a family would give a single port leads to its container", () => {
    const named = containerOf("aa", {
      running: false,
      ports: [],
      exposed: exposedOf("80"),
      env: { SERVICE_80_NAME: "api" },
    });
    expect(textOf("api", [named])).toMatch(/^container aa/);
  });

  test.each(["nowhere", "berth.internal", "a..b", "", "web.shop.example.com", "x.web.shop"])(
    "%j is nobody's",
    (what) => {
      expect(textOf(what, [web])).toBe("nothing");
    },
  );
});

test("control characters in names and labels stay out of the lines", () => {
  const nasty = containerOf("we\u001b[31mb\n<3>x", {
    labels: { "berth.name": "a\r\nb\u202ec" },
    image: "x\u0007",
  });
  for (const line of explain(inputOf([nasty]), rulesOf(), nasty.name) ?? ["\n"])
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
