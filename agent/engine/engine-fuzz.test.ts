import fc from "fast-check";
import { expect, test } from "vitest";

import { declaredSchema } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import { declare } from "../declare/declare.ts";
import { explain } from "../declare/explain.ts";
import { problemsWithinLimits } from "../declare/limits.ts";
import { inputOf, inspectOf, rulesOf, siteOf } from "../testing/builders.ts";
import { eventFromLine } from "./event-lines.ts";
import { meaningOf } from "./event-meaning.ts";
import { type ContainerFacts, factsFromInspect } from "./facts.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { Stops } from "./stops.ts";

// What an engine says, as JSON brings it: the right shape with anything at all in some of its places.

/** Stands for a number that JSON can write and no double can hold. */
const tooLarge = "number-too-large";
const junk = fc.oneof(
  fc.constantFrom<unknown>(null, "", 0, -1, tooLarge, true, [], {}, [null], [[]], { "": null }),
  fc.jsonValue({ maxDepth: 3 }),
);
const key = fc.oneof(
  fc.constantFrom("80/tcp", "53/udp", "9/sctp", "70000/tcp", "0080", "1-65535/tcp", "tcp", "__proto__"),
  fc.constantFrom("constructor", "berth.name", "berth.port.80", "berth.txt.a", "SERVICE_NAME", "HOSTNAMES"),
  fc.constantFrom("com.docker.compose.project", "com.docker.compose.service", "com.docker.swarm.task.id"),
  fc.string({ unit: "binary", maxLength: 40 }),
);
const text = fc.oneof(
  fc.constantFrom(
    "web",
    "80",
    "8080",
    "65536",
    "0.0.0.0",
    "::",
    "127.0.0.1",
    "9000-9010",
    "host",
    "container:",
  ),
  fc.constantFrom("true", "x".repeat(5_000), "2026-11-22T10:00:00Z", "0001-01-01T00:00:00Z", "SIGRTMIN+3"),
  fc.string({ unit: "binary", maxLength: 60 }),
);
const orJunk = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 40, arbitrary }, { weight: 1, arbitrary: junk });
const mapOf = (value: fc.Arbitrary<unknown>) => orJunk(fc.dictionary(key, orJunk(value), { maxKeys: 6 }));
const flag = orJunk(fc.boolean());
const ports = mapOf(
  fc.array(orJunk(fc.record({ HostIp: orJunk(text), HostPort: orJunk(text) })), { maxLength: 3 }),
);
const network = fc.record({ IPAddress: orJunk(text), GlobalIPv6Address: orJunk(text) });

const inspect = fc
  .record({
    Name: orJunk(text),
    State: orJunk(
      fc.record(
        {
          ...{ Running: flag, Paused: flag, Restarting: flag, StartedAt: orJunk(text) },
          Health: orJunk(fc.record({ Status: orJunk(text) })),
        },
        { requiredKeys: ["Running"] },
      ),
    ),
    Config: orJunk(
      fc.record(
        {
          ...{
            Image: orJunk(text),
            Labels: mapOf(text),
            StopSignal: orJunk(text),
            ExposedPorts: mapOf(junk),
          },
          Env: orJunk(fc.array(orJunk(fc.tuple(key, text).map((pair) => pair.join("="))), { maxLength: 5 })),
        },
        { requiredKeys: [] },
      ),
    ),
    HostConfig: orJunk(fc.record({ NetworkMode: orJunk(text), PortBindings: ports })),
    NetworkSettings: orJunk(fc.record({ Ports: ports, Networks: mapOf(network) })),
  })
  .map((given) => ({ ...inspectOf("web"), ...given }));

function wireText(value: unknown): string {
  return JSON.stringify(value).replaceAll(`"${tooLarge}"`, "1e400");
}

/** As it comes over the socket, where `__proto__` is a key like others. */
function overTheWire(value: unknown): Record<string, unknown> {
  return JSON.parse(wireText(value));
}

function factsOf(given: unknown, isPodman: boolean): ContainerFacts | undefined {
  try {
    return factsFromInspect(overTheWire(given), { isPodman });
  } catch (fault) {
    expect(fault).toBeInstanceOf(BerthError);
    expect(fault).toMatchObject({ code: "engine-fault" });
    return undefined;
  }
}

const timeoutMs = 60_000;

test("whatever an engine says of a container, it is that container's fault or facts that fit into a push", {
  timeout: timeoutMs,
}, () => {
  let read = 0;
  const property = fc.property(inspect, fc.boolean(), (given, isPodman) => {
    const facts = factsOf(given, isPodman);
    if (facts === undefined) return;
    read += 1;
    for (const texts of [facts.labels, facts.env]) {
      expect(Object.entries(texts).join("").length).toBeLessThanOrEqual(65_536 + 2 * 500);
      expect(Object.keys(texts).length).toBeLessThanOrEqual(500);
    }
    for (const { containerPort, hostPort } of facts.ports)
      for (const port of [containerPort, hostPort]) expect(port > 0 && port < 65_536).toBe(true);
    const input = inputOf([facts]);
    const { bindings, problems } = declare(input, rulesOf());
    const { hostLabel, addresses, local } = siteOf();
    const declared = { hostLabel, addresses, local, bindings, problems: problemsWithinLimits(problems) };
    expect(declaredSchema.safeParse(declared).error).toBeUndefined();
    for (const line of explain(input, rulesOf(), facts.name) ?? [])
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
  fc.assert(property, { numRuns: 600 });
  // Else nothing would have been looked at.
  expect(read).toBeGreaterThan(60);
});

test("any list entry has a short fingerprint, in whatever order its fields come", () => {
  const entry = fc.dictionary(key, fc.oneof(inspect, junk), { maxKeys: 6 });
  const property = fc.property(entry, (given) => {
    const fields = Object.entries(overTheWire(given));
    const print = fingerprintOf(Object.fromEntries(fields));
    expect(print).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(fingerprintOf(Object.fromEntries(fields.toReversed()))).toBe(print);
  });
  fc.assert(property, { numRuns: 200 });
});

const action = fc.oneof(
  fc.constantFrom(
    "start",
    "stop",
    "kill",
    "die",
    "exec_die",
    "exec_died",
    "exec_start: sh",
    "connect",
    "pause",
  ),
  fc.constantFrom("health_status", "health_status: healthy", "health_status:", "update", ""),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const attributes = fc.record(
  { signal: orJunk(text), containerExitCode: orJunk(text), container: orJunk(text), name: orJunk(text) },
  { requiredKeys: [] },
);
const time = orJunk(fc.oneof(fc.nat(), fc.double(), fc.constant(tooLarge)));
const event = fc.record(
  {
    Type: orJunk(fc.constantFrom("container", "network", "image")),
    Action: orJunk(action),
    Actor: orJunk(fc.record({ ID: orJunk(text), Attributes: orJunk(attributes) }, { requiredKeys: [] })),
    ...{ HealthStatus: orJunk(text), time, timeNano: time },
  },
  { requiredKeys: [] },
);
const line = fc.oneof(
  { weight: 8, arbitrary: orJunk(event).map((given) => wireText(given)) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
  { weight: 1, arbitrary: event.map((given) => JSON.stringify(given).slice(0, -1)) },
);

test("any line of an event stream is a reason to look, or none, and a stop has a moment that a later run can pass", {
  timeout: timeoutMs,
}, () => {
  const facts = factsFromInspect(inspectOf("web"));
  const property = fc.property(line, fc.constantFrom("docker", "podman", undefined), (given, kind) => {
    const read = eventFromLine(given);
    if ("id" in read && read.id !== undefined) expect(read.id).toMatch(/./su);
    if (read.kind === "stopping") expect(new Date(read.atMs).getTime() >= 0).toBe(true);
    const stops = new Stops();
    const meaning = meaningOf(read, { kind, facts, isSettled: true }, stops);
    expect(["nothing", "look", "look-twice", "draining"]).toContain(meaning);
  });
  fc.assert(property, { numRuns: 1_000 });
});
