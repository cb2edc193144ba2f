import fc from "fast-check";
import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import {
  type Binding,
  bindingSchema,
  declaredSchema,
  type Problem,
  problemSchema,
} from "../../shared/binding.ts";
import type { ContainerFacts, PublishedPort } from "../engine/facts.ts";
import { containerOf, inputOf, placedOf, rulesOf, siteOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import { explain } from "./explain.ts";
import type { CheckState, DeclareInput, DeclareOutcome, DeclareRules, RelayState } from "./input.ts";
import { problemsWithinLimits } from "./limits.ts";
import { parseNameTemplate } from "./name-template.ts";

/** Words that get past the first look at a label, and words nobody meant. */
const word = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "web",
      "web.shop",
      "WEB_1",
      "a.berth.internal",
      "*.x",
      "~re",
      "host",
      "ns",
      "_80._tcp.a",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "80",
      "8080",
      "53/udp",
      "443,8080",
      "tcp",
      "http:/a,interval=2s",
      "true",
      "off",
      "ignore",
      "10s",
      "70000",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 80 }) },
);
const text = fc.oneof(
  word,
  fc.array(word, { maxLength: 4 }).map((words) => words.join(",")),
  word.map((host) => `Host(\`${host}\`) || HostSNI("${host}")`),
);
const ownKey = fc.constantFrom(
  ...[
    "name",
    "http",
    "ignore",
    "tls",
    "weight",
    "priority",
    "health",
    "check",
    "publish",
    "network",
    "txt.k",
    "port.80",
    "port.53/udp",
    "nmae",
  ],
);
const foreignKey = fc.constantFrom(
  ...[
    "SERVICE_NAME",
    "SERVICE_80_NAME",
    "SERVICE_IGNORE",
    "SERVICE_CHECK_HTTP",
    "SERVICE_80_CHECK_TCP",
    "SERVICE_CHECK_INTERVAL",
  ],
  ...[
    "traefik.enable",
    "traefik.http.routers.a.rule",
    "traefik.http.routers.a.service",
    "traefik.http.services.a.loadbalancer.server.port",
  ],
  ...[
    "com.dnsdock.alias",
    "com.dnsdock.name",
    "com.dnsdock.ignore",
    "traefik.tcp.routers.b.rule",
    "__proto__",
    "com.docker.compose.container-number",
  ],
);
const labelKey = fc.oneof(
  ownKey.map((key) => `berth.${key}`),
  foreignKey,
  fc.string({ maxLength: 20 }).map((key) => `berth.${key}`),
);
const variableKey = fc.constantFrom(
  "SERVICE_NAME",
  "SERVICE_80_NAME",
  "VIRTUAL_HOST",
  "VIRTUAL_PORT",
  "DNSDOCK_ALIAS",
  "DNSDOCK_NAME",
  "HOSTNAMES",
  "SERVICE_CHECK_TCP",
);

const number = fc.constantFrom(80, 8080, 53, 443);
const protocol = fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const);
const port: fc.Arbitrary<PublishedPort> = fc.record({
  protocol,
  containerPort: number,
  hostIp: fc.constantFrom("0.0.0.0", "::", "", "127.0.0.1", "10.0.0.5", "192.0.2.1", "nonsense"),
  hostPort: fc.constantFrom(8080, 32768, 32769),
  fixed: fc.boolean(),
});
const name = fc.oneof(
  fc.constantFrom("web", "web-1", "web.1", "db", "0123456789ab_web", "host"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 300 }),
);

const container: fc.Arbitrary<Partial<ContainerFacts>> = fc.record(
  {
    labels: fc.dictionary(labelKey, text, { maxKeys: 6 }),
    env: fc.dictionary(variableKey, text, { maxKeys: 3 }),
    image: fc.oneof(fc.constant("nginx:1.27"), fc.string()),
    running: fc.boolean(),
    health: fc.constantFrom("none", "starting", "healthy", "unhealthy"),
    networkMode: fc.constantFrom("default", "host", "none", "container:id0", "container:id1"),
    ports: fc.array(port, { maxLength: 5 }),
    exposed: fc.array(fc.record({ protocol, containerPort: number }), { maxLength: 3 }),
    networks: fc.constantFrom([], [{ name: "shop", addresses: ["172.18.0.3", "fd01::3"] as Address[] }]),
    compose: fc.option(fc.record({ project: name, service: name, oneoff: fc.boolean() }), { nil: undefined }),
    isSwarmTask: fc.boolean(),
  },
  { requiredKeys: ["labels", "ports"] },
);

const placed = fc.record({ given: container, name, isNear: fc.boolean(), fixedOnly: fc.boolean() });
const input: fc.Arbitrary<DeclareInput> = fc
  .record({ all: fc.array(placed, { maxLength: 6 }), flapping: fc.boolean() })
  .map(({ all, flapping }) => {
    const containers = all.map(({ given, name: own, isNear, fixedOnly }, index) =>
      placedOf(containerOf(own, { ...given, id: `id${index}` }), { isNear, fixedOnly }),
    );
    return inputOf([], { containers, flapping: new Set(flapping ? ["id0", "id1"] : []) });
  });

const rules: fc.Arbitrary<DeclareRules> = fc
  .record({
    publishUnpublished: fc.boolean(),
    template: fc
      .constantFrom(
        "{service}.{project}|{container}",
        "{env.SERVICE_NAME}|{image}-{number}|{label.berth.name}.x|{container}",
      )
      .map(parseNameTemplate),
    only: fc.constantFrom([], [{ kind: "label" as const, key: "berth.name", value: undefined }]),
  })
  .map((given) => rulesOf(given));

/** A second pass, with the relays of the first open or failed and its checks made. */
function secondPass(first: DeclareInput, { relays, checks }: DeclareOutcome): DeclareInput {
  const states: CheckState[] = ["healthy", "unhealthy", "starting"];
  const opened = relays.map(({ key }, at): [string, RelayState] => [
    key,
    at % 3 === 2 ? { kind: "failed", fault: "the range is used up" } : { kind: "open", port: 20_000 + at },
  ]);
  const made = checks.map(({ key }, at): [string, CheckState] => [key, states[at % 3] ?? "healthy"]);
  return { ...first, relays: new Map(opened), checks: new Map(made) };
}

function expectSendable({ bindings, problems }: { bindings: Binding[]; problems: Problem[] }): void {
  for (const binding of bindings) expect(bindingSchema.safeParse(binding).error).toBeUndefined();
  for (const problem of problems) expect(problemSchema.safeParse(problem).error).toBeUndefined();
  const { hostLabel, addresses, local } = siteOf();
  const declared = {
    hostLabel,
    addresses: [...addresses],
    local,
    bindings,
    problems: problemsWithinLimits(problems),
  };
  expect(declaredSchema.safeParse(declared).error).toBeUndefined();
}

const runs = { numRuns: 400 };
/** Of a machine that has much else to do. */
const timeoutMs = 60_000;

test(
  "whatever containers say, what is declared fits into a push, on the first pass and on the next",
  () => {
    fc.assert(
      fc.property(input, rules, (first, chosen) => {
        const outcome = declare(first, chosen);
        expectSendable(outcome);
        expectSendable(declare(secondPass(first, outcome), chosen));
      }),
      runs,
    );
  },
  timeoutMs,
);

test(
  "no binding is declared twice",
  () => {
    fc.assert(
      fc.property(input, rules, (first, chosen) => {
        const { bindings } = declare(first, chosen);
        expect(new Set(bindings.map((binding) => JSON.stringify(binding))).size).toBe(bindings.length);
      }),
      runs,
    );
  },
  timeoutMs,
);

test(
  "the order in which an engine's containers come changes nothing, nor does what is remembered of them",
  () => {
    fc.assert(
      fc.property(input, rules, fc.infiniteStream(fc.nat()), (first, chosen, chance) => {
        const outcome = declare(first, chosen);
        const keyed = first.containers.map((one) => ({ one, key: chance.next().value }));
        const shuffled = keyed.toSorted((left, right) => left.key - right.key).map(({ one }) => one);
        expect(declare({ ...first, containers: shuffled }, chosen)).toEqual(outcome);
        const fresh = shuffled.map((one) => ({ ...one, container: { ...one.container } }));
        expect(declare({ ...first, containers: fresh }, { ...chosen })).toEqual(outcome);
      }),
      runs,
    );
  },
  timeoutMs,
);

test(
  "every container can be explained, in lines of clean text",
  () => {
    fc.assert(
      fc.property(input, rules, (first, chosen) => {
        for (const { container: own } of first.containers) {
          const lines = explain(first, chosen, own.name) ?? [];
          for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        }
        const some = first.containers[0]?.container.id;
        if (some !== undefined) expect(explain(first, chosen, "web.shop") ?? []).toBeInstanceOf(Array);
      }),
      runs,
    );
  },
  timeoutMs,
);
