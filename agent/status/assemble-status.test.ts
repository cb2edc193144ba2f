import { describe, expect, test } from "vitest";

import { parseAddress } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";
import { parseName } from "../../shared/name.ts";
import type { DeclaredService, WantedCheck, WantedRelay } from "../declare/input.ts";
import { afterFault, afterRead, afterReconnect, type EngineView, firstView } from "../engine/engine-view.ts";
import type { LeaseState } from "../lease/standing.ts";
import { noTraffic } from "../relay/open-relay.ts";
import { containerOf } from "../testing/builders.ts";
import { agentStatusSchema } from "./agent-status.ts";
import { assembleStatus, type EnginePart, type StatusParts } from "./assemble-status.ts";

const now = 100_000;
const about = { kind: "docker", version: "20.10.24", rootless: false, liveRestore: false } as const;
const goodView = afterRead({ containers: [], problems: [], draining: [] }, 98_000, about);
const [address] = [parseAddress("10.0.0.5")].flatMap((parsed) => parsed ?? []);
const target = { address: address ?? expect.fail(), port: 80 };

function engine(view: EngineView, counters: Partial<EnginePart["counters"]> = {}): EnginePart {
  const counted = { passes: 3, events: 7, lastReadAt: 98_000, ...counters };
  return { label: "docker", where: "unix:///run/docker.sock", view, counters: counted };
}

const lease: LeaseState = {
  ...{
    url: "https://resolver.example",
    fault: undefined,
    leaseMs: 15_000,
    renewedAt: 96_000,
    isLinked: true,
  },
  ...{ pushes: 1, renewals: 9, hostLabel: "nas", refused: [] },
};

function assembled(given: Partial<StatusParts> = {}) {
  const status = assembleStatus(
    {
      ...{ version: "0.1.0", startedAt: 40_000, hostId: "a".repeat(52), declaredLabel: "nas" },
      ...{ addresses: [target.address], addressFault: undefined, engines: [engine(goodView)], lease },
      ...{ bindings: 2, notes: 1 },
      ...{ problems: [], flapping: [], services: [] },
      relays: { wanted: [], states: new Map(), counters: new Map(), finishing: [] },
      checks: { wanted: [], states: new Map(), faultOf: () => undefined },
      ...given,
    },
    now,
  );
  // As it goes over the wire: what is undefined is left out.
  expect(agentStatusSchema.parse(JSON.parse(JSON.stringify(status)))).toEqual(status);
  return status;
}

test("moments become ages in seconds", () => {
  const { uptime, engines, resolver } = assembled();
  expect(uptime).toBe(60);
  expect(engines[0]?.lastReadAgo).toBe(2);
  expect(resolver).toMatchObject({ lastSyncAgo: 4, lease: 15, leaseRemaining: 11, up: true, link: true });
});

test("addresses that cannot be told any more stand, with the reason", () => {
  const status = assembled({ addressFault: "no route" });
  expect(status).toMatchObject({ addresses: ["10.0.0.5"], addressFault: "no route" });
});

describe("an engine", () => {
  const fault = new BerthError("engine-unreachable", "no reply", { cause: new Error("ECONNREFUSED") });

  test("that was read is up", () => {
    const [status] = assembled().engines;
    expect(status).toMatchObject({ up: true, kind: "docker", version: "20.10.24", passes: 3, events: 7 });
    expect(status?.fault).toBeUndefined();
  });

  test.each<[string, EngineView]>([
    ["was not read yet", firstView(0)],
    ["does not answer", afterFault(goodView, fault, false)],
    ["is not there", afterFault(goodView, fault, true)],
    ["is back and was not read since", afterReconnect(goodView, now)],
  ])("that %s is down", (_, view) => {
    expect(assembled({ engines: [engine(view)] }).engines[0]?.up).toBe(false);
  });

  test("counts all containers that run, and those of them that drain", () => {
    const [one, two] = [containerOf("web"), containerOf("db")];
    const view = afterRead({ containers: [one], problems: [], draining: [two] }, 98_000, about);
    expect(assembled({ engines: [engine(view)] }).engines[0]).toMatchObject({ containers: 2, draining: 1 });
  });

  test("at no address that can be told says why, whether it is up or not", () => {
    const lost = { ...engine(goodView), addressFault: "no such host" };
    expect(assembled({ engines: [lost] }).engines[0]).toMatchObject({
      up: true,
      addressFault: "no such host",
    });
  });

  test("says why it is down, with the cause", () => {
    const view = afterFault(goodView, fault, false);
    expect(assembled({ engines: [engine(view)] }).engines[0]?.fault).toBe("no reply: ECONNREFUSED");
  });

  test("that was never read has no age, no kind and no containers", () => {
    const [status] = assembled({ engines: [engine(firstView(0), { lastReadAt: undefined })] }).engines;
    expect(status).toMatchObject({ kind: "", containers: 0, draining: 0 });
    expect(status?.lastReadAgo).toBeUndefined();
  });
});

describe("the resolver", () => {
  test("that refused the last request is not up, and the lease runs down below 0", () => {
    const given = { ...lease, fault: "no reply", renewedAt: 70_000, isLinked: false };
    const { resolver } = assembled({ lease: given });
    expect(resolver).toMatchObject({ up: false, fault: "no reply", leaseRemaining: -15, lastSyncAgo: 30 });
  });

  test("that took nothing yet is not up, and has granted no lease", () => {
    const none = { leaseMs: undefined, renewedAt: undefined, hostLabel: undefined };
    const { resolver, hostLabel } = assembled({ lease: { ...lease, ...none } });
    expect(resolver.up).toBe(false);
    expect(resolver.leaseRemaining).toBeUndefined();
    expect(hostLabel).toEqual({ declared: "nas", granted: undefined });
  });

  test("lists what it refuses by names as people write them", () => {
    const refused = [{ name: parseName("web.berth.internal"), code: "held" as const, message: "held by pi" }];
    expect(assembled({ lease: { ...lease, refused } }).resolver.refused).toEqual([
      { name: "web.berth.internal", code: "held", message: "held by pi" },
    ]);
  });
});

test("a relay has its port or its fault, and what it carried; one not opened yet is left out, one that goes on is not", () => {
  const relay: WantedRelay = { key: "a", container: "db", run: "db@1", protocol: "tcp", listen: [], target };
  const carried = { bytesIn: 5, bytesOut: 6, connectionsOpen: 1, connectionsFailed: 4 };
  const turnedAway = { connectionsRefused: 2, datagramsDropped: 1 };
  const relays = {
    wanted: [relay, { ...relay, key: "b" }, { ...relay, key: "c" }],
    states: new Map([
      ["a", { kind: "open", port: 20_000 } as const],
      ["b", { kind: "failed", fault: "in use" } as const],
    ]),
    counters: new Map([["a", { ...noTraffic, ...carried, ...turnedAway }]]),
    finishing: [{ wanted: relay, port: 20_009, counters: { ...noTraffic, ...carried } }],
  };
  expect(assembled({ relays }).relays).toEqual([
    expect.objectContaining({
      key: "a",
      state: "open",
      port: 20_000,
      bytesIn: 5,
      bytesOut: 6,
      connections: 1,
      refused: 3,
      failed: 4,
    }),
    expect.objectContaining({ key: "b", state: "failed", fault: "in use", bytesIn: 0 }),
    expect.objectContaining({ key: "a", state: "finishing", port: 20_009, bytesIn: 5, connections: 1 }),
  ]);
});

test("a check says what it asks, and a service what its check says", () => {
  const check: WantedCheck = {
    ...{ key: "k", container: "db.toml#1", httpPath: undefined, address: target.address, port: 80 },
    ...{ intervalMs: 10_000, timeoutMs: 3_000 },
  };
  const service: DeclaredService = {
    ...{ id: "db.toml#1", names: [parseName("db.berth.internal")], protocol: "tcp", servicePort: 1, port: 1 },
    ...{ addresses: undefined, check, tls: false, txt: [], priority: 0, weight: 0 },
  };
  const status = assembled({
    checks: {
      wanted: [
        check,
        { ...check, key: "h", httpPath: "/ok", container: "web" },
        { ...check, key: "v4", container: "db.toml#3" },
        { ...check, key: "v6", container: "db.toml#3" },
      ],
      states: new Map([
        ["k", "unhealthy"],
        ["v4", "healthy"],
        ["v6", "unhealthy"],
      ]),
      faultOf: (key) => (key === "k" ? "refused" : undefined),
    },
    services: [service, { ...service, id: "db.toml#2", check: undefined }, { ...service, id: "db.toml#3" }],
  });
  expect(status.checks.slice(0, 2)).toEqual([
    { container: "db.toml#1", target: "tcp 10.0.0.5:80", state: "unhealthy", fault: "refused" },
    { container: "web", target: "http://10.0.0.5:80/ok", state: "starting", fault: undefined },
  ]);
  expect(status.services).toEqual([
    { id: "db.toml#1", names: ["db.berth.internal"], state: "unhealthy" },
    { id: "db.toml#2", names: ["db.berth.internal"], state: "unchecked" },
    { id: "db.toml#3", names: ["db.berth.internal"], state: "healthy" },
  ]);
});
