import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { engineWith, resolverWith, statusWith } from "../agent/testing/agent-status.ts";
import { shownAge, statusLines } from "./status-lines.ts";

describe("the status for people", () => {
  test("of a healthy agent is its host, its lease and its engines, and nothing more", () => {
    expect(statusLines(statusWith())).toEqual([
      "HOST       nas",
      `id         ${"a".repeat(52)}`,
      "agent      berth 0.1.0, up 60 min",
      "addresses  10.0.0.5, fd00::5",
      "resolver   https://resolver.example: up, 3 pushes and 200 renewals taken",
      "lease      14 of 15 s left, last taken 2 s ago, renewed by a link",
      "declares   12 bindings, 0 problems, 0 notes",
      "",
      "ENGINE  STATE  KIND             CONTAINERS  DRAINING  LAST READ  PASSES  EVENTS  AT",
      "docker  up     docker 20.10.24  4           0         3 s ago    9       30      unix:///run/docker.sock",
    ]);
  });

  test("shows what is wrong in capitals, with its reason", () => {
    const engines = [engineWith({ up: false, fault: "no reply within 10 s" })];
    const resolver = resolverWith({ up: false, fault: "refused", leaseRemaining: -1, lastSyncAgo: 300 });
    const lines = statusLines(statusWith({ engines, resolver })).join("\n");
    expect(lines).toContain("https://resolver.example: FAILING (refused), 3 pushes");
    expect(lines).toContain("lease      LAPSED, last taken 5 min ago\n");
    expect(lines).toMatch(/^docker +DOWN .*unix:\/\/\/run\/docker\.sock: no reply within 10 s$/m);
  });

  test.each<[string[], string]>([
    [[], "NONE yet, and FAILING to tell them (no route)"],
    [["10.0.0.5"], "10.0.0.5, and FAILING to tell them (no route)"],
  ])("says why the host does not know its addresses, known before: %j", (addresses, shown) => {
    const lines = statusLines(statusWith({ addresses, addressFault: "no route" }));
    expect(lines).toContain(`addresses  ${shown}`);
  });

  test("says why an engine's addresses are not known", () => {
    const lines = statusLines(statusWith({ engines: [engineWith({ addressFault: "no such host" })] }));
    expect(lines.at(-1)).toMatch(/docker\.sock, and FAILING to tell its addresses \(no such host\)$/);
  });

  test("of an agent that has just started claims nothing", () => {
    const { lastReadAgo, version, ...engine } = engineWith({ up: false, kind: "" });
    const { lease, leaseRemaining, lastSyncAgo, ...resolver } = resolverWith({ up: false });
    const given = { engines: [engine], resolver, hostLabel: { declared: "nas" }, addresses: [] };
    const lines = statusLines(statusWith(given)).join("\n");
    expect(lines).toContain("nas (not granted yet)");
    expect(lines).toContain("addresses  NONE yet");
    expect(lines).toContain("lease      NONE yet");
    expect(lines).toMatch(/^docker +DOWN +unknown +4 +0 +never/m);
  });

  test("says so when another host has the label", () => {
    const hostLabel = { declared: "nas", granted: "nas-2" };
    expect(statusLines(statusWith({ hostLabel }))[0]).toBe("HOST       nas-2 (nas is another host's)");
  });

  test("lists relays, checks, services, problems and refused names where there are any", () => {
    const relay = {
      key: "a",
      container: "db",
      protocol: "tcp",
      connections: 1,
      bytesIn: 5,
      bytesOut: 6,
    } as const;
    const lines = statusLines(
      statusWith({
        relays: [
          { ...relay, state: "open", port: 20_000 },
          { ...relay, state: "failed", fault: "in use" },
        ],
        checks: [{ container: "web", target: "tcp 172.17.0.2:80", state: "unhealthy", fault: "refused" }],
        flapping: ["bot"],
        services: [
          { id: "db.toml#1", names: ["db.lab.berth.internal"], state: "healthy" },
          { id: "db.toml#2", names: ["x"], state: "unhealthy" },
        ],
        problems: [{ container: "", code: "engine-unreachable", message: "m" }],
        resolver: resolverWith({
          refused: [{ name: "web.berth.internal.", code: "held", message: "by pi" }],
        }),
      }),
    ).join("\n");
    for (const row of [
      /^tcp\/20000 +db +open +1 +5 +6$/m,
      /^tcp\/none +db +FAILED: in use +1 +5 +6$/m,
      /^web +tcp 172\.17\.0\.2:80 +unhealthy: refused$/m,
      /^bot +flapping: /m,
      /^db\.toml#1 +db\.lab\.berth\.internal +healthy$/m,
      /^db\.toml#2 +x +unhealthy: not declared$/m,
      /^the host +engine-unreachable +m$/m,
      /^web\.berth\.internal +held +by pi$/m,
    ])
      expect(lines).toMatch(row);
  });

  test("is lines that cannot be forged, and commands no terminal, whatever containers and engines say", {
    timeout: 60_000,
  }, () => {
    const unit = fc.constantFrom(..."\n\r\u2028\u0085\u001b\u009b\u202e\0\u200bHOST []<>m 日");
    const property = fc.property(fc.string({ unit }), fc.string({ unit: "binary" }), (one, other) => {
      const idle = { connections: 0, bytesIn: 0, bytesOut: 0 };
      const plain = { label: "x", where: "x", kind: "x", version: "x", fault: "x" };
      const build = (text: string, second: string) =>
        statusLines(
          statusWith({
            ...{ version: text, hostId: second, hostLabel: { declared: text, granted: second } },
            addresses: [text],
            engines: [
              engineWith({
                ...plain,
                label: text,
                where: second,
                kind: text,
                fault: second,
                addressFault: text,
              }),
            ],
            resolver: resolverWith({
              ...{ url: text, up: false, fault: second },
              refused: [{ name: text, code: second, message: text }],
            }),
            problems: [{ container: `x${text}`, code: second, message: text }],
            relays: [
              { key: text, container: second, protocol: "tcp", state: "failed", fault: text, ...idle },
            ],
            checks: [{ container: text, target: second, state: "starting", fault: text }],
            flapping: [second],
            services: [{ id: text, names: [second], state: "starting" }],
          }),
        );
      const lines = build(one, other);
      expect(lines).toHaveLength(build("plain", "plainly").length);
      expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    });
    fc.assert(property, { numRuns: 200 });
  });
});

test.each([
  [0.4, "0 s"],
  [119, "119 s"],
  [120, "2 min"],
  [7_199, "120 min"],
  [7_200, "2 h"],
  [172_799, "48 h"],
  [172_800, "2 d"],
])("%d seconds are %s", (seconds, text) => expect(shownAge(seconds)).toBe(text));
