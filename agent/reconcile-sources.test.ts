import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, connect as dial, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Address } from "../shared/address.ts";
import type { Name } from "../shared/name.ts";
import type { DeclaredService } from "./declare/input.ts";
import { AgentStand } from "./testing/agent-stand.ts";
import { FakeEngine } from "./testing/fake-engine.ts";

// What the agent declares besides one engine's published ports, and how its sources leave each other alone.

let stand: AgentStand;
beforeEach(() => {
  stand = new AgentStand();
});
afterEach(() => stand.end());

const at = (port: string) => ({ ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: port }] } });
const names = () => new Set(stand.declared?.bindings.map(({ name }) => name.split(".")[0]));
const problems = () => stand.declared?.problems.map(({ code }) => code);

describe("several engines", () => {
  let second: FakeEngine;

  beforeEach(() => {
    second = new FakeEngine();
    stand.engines = [
      ...stand.engines,
      { label: "podman", engine: second, readSite: undefined, isHere: true },
    ];
    stand.engine.put("one", at("32768"));
    second.put("two", at("32769"));
  });

  test("are one set", async () => {
    stand.start();
    await stand.clock.advance(2_000);
    expect(names()).toEqual(new Set(["one", "two"]));
  });

  test("one that is not there holds up nobody, and is a problem that names it", async () => {
    second.die();
    stand.start();
    await stand.clock.advance(1_000);
    expect(names()).toEqual(new Set(["one"]));
    expect(problems()).toEqual(["engine-unreachable"]);
    expect(stand.declared?.problems[0]?.message).toContain("podman");
  });

  test("one that is silent at the start holds the others up for five seconds, and no longer", async () => {
    const release = second.holdLists();
    stand.start();
    await stand.clock.advance(4_900);
    expect(stand.declared).toBeUndefined();
    await stand.clock.advance(200);
    expect(names()).toEqual(new Set(["one"]));
    release();
    await stand.clock.advance(1_000);
    expect(names()).toEqual(new Set(["one", "two"]));
  });

  test("one that dies takes its ephemeral ports along, and nothing of the others", async () => {
    stand.start();
    await stand.clock.advance(2_000);
    second.die();
    await stand.clock.advance(100);
    expect(names()).toEqual(new Set(["one"]));
    stand.engine.event(stand.engine.put("three", at("32770")));
    await stand.clock.advance(1_000);
    expect(names()).toEqual(new Set(["one", "three"]));
  });

  test("one on another machine is declared where its ports are open", async () => {
    const readSite = async () => ({ addresses: ["10.0.0.77" as Address], local: false });
    stand.engines = stand.engines.map((watched) =>
      watched.engine === second ? { ...watched, readSite, isHere: false } : watched,
    );
    stand.start();
    await stand.clock.advance(2_000);
    const places = stand.declared?.bindings.map(({ container, addresses }) => `${container} ${addresses}`);
    expect(new Set(places)).toEqual(new Set(["one 10.0.0.5", "two 10.0.0.77"]));
    expect(stand.declared?.addresses).toEqual(["10.0.0.5", "10.0.0.77"]);
  });

  test("every loop is heard of, also that of a dead engine", async () => {
    second.die();
    stand.start();
    await stand.clock.advance(20_000);
    stand.progress.clear();
    await stand.clock.advance(60_000);
    expect(stand.progress).toEqual(new Set(["engine docker", "engine podman", "lease", "addresses"]));
  });
});

describe("a host without any engine", () => {
  const service: DeclaredService = {
    ...{
      id: "db.toml#1",
      names: ["db.lab.berth.internal." as Name],
      protocol: "tcp",
      servicePort: 5432,
      port: 5432,
    },
    ...{ addresses: undefined, check: undefined, tls: false, txt: [], priority: 0, weight: 1 },
  };

  test("declares its services, as they change", async () => {
    stand.engines = [];
    stand.services.services = [service];
    stand.start();
    await stand.clock.advance(1_000);
    expect(stand.declared?.bindings.find(({ rule }) => rule === "label")).toMatchObject({
      name: "db.lab.berth.internal.",
      servicePort: 5432,
      port: 5432,
      addresses: ["10.0.0.5"],
    });
    stand.services.services = [];
    stand.services.change();
    await stand.clock.advance(1_000);
    expect(stand.declared?.bindings).toEqual([]);
  });

  test("a service that is not there by its check is not declared until it is", async () => {
    let fault: string | undefined = "refused";
    stand.probe = async () => fault;
    const check = { httpPath: undefined, intervalMs: 10_000, timeoutMs: 1_000 };
    stand.engines = [];
    stand.services.services = [{ ...service, check }];
    stand.start();
    await stand.clock.advance(15_000);
    expect(stand.declared?.bindings).toEqual([]);
    fault = undefined;
    await stand.clock.advance(15_000);
    expect(stand.declared?.bindings.length).toBeGreaterThan(0);
  });

  test("a reload reads the files again", async () => {
    stand.engines = [];
    stand.start();
    await stand.clock.advance(1_000);
    stand.services.services = [service];
    await stand.reconciler.refresh();
    await stand.clock.advance(100);
    expect(stand.declared?.bindings.length).toBeGreaterThan(0);
  });
});

test("a reload reads every container again, whatever is known of it", async () => {
  const id = stand.engine.put("web", at("32768"));
  stand.start();
  await stand.clock.advance(5_000);
  stand.engine.putUnlisted("web", at("32999"));
  await stand.clock.advance(5_000);
  expect(stand.declared?.bindings[0]?.port).toBe(32768);
  await stand.reconciler.refresh();
  await stand.clock.advance(1_000);
  expect(stand.declared?.bindings[0]?.port).toBe(32999);
  expect(stand.engine.inspected.at(-1)).toBe(id);
});

test("a container that was told to stop leaves at once, and explains itself", async () => {
  const id = stand.engine.put("web", at("32768"));
  stand.start();
  await stand.clock.advance(2_000);
  expect(stand.reconciler.explain("web")?.join()).toContain("port 80/tcp leads to 10.0.0.5:32768");
  stand.engine.tell({ kind: "stopping", id, signal: "15", atMs: Date.parse("2026-11-22T11:00:00Z") });
  await stand.clock.advance(100);
  expect(stand.declared?.bindings).toEqual([]);
  for (const what of ["web", "web.berth.internal"])
    expect(stand.reconciler.explain(what)?.at(-1)).toBe(
      "  nothing of it is declared: it was told to stop, until it runs anew",
    );
  expect(stand.reconciler.explain("other")).toBeUndefined();
});

test("a guest that was started anew without a word is declared again at the next resync", async () => {
  const ports = { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "32768" }] };
  const anew = (second: string) => ({ StartedAt: `2026-11-22T10:00:0${second}Z` });
  const owner = stand.engine.put("owner", { ports, state: anew("1") });
  const guest = {
    networkMode: `container:${owner}`,
    ports: {},
    asked: {},
    config: { ExposedPorts: { "80/tcp": {} } },
  };
  stand.engine.put("guest", { ...guest, state: anew("2") });
  stand.start();
  await stand.clock.advance(2_000);
  expect(names()).toEqual(new Set(["owner", "guest"]));
  stand.engine.event(stand.engine.put("owner", { ports, state: anew("3") }));
  await stand.clock.advance(2_000);
  expect(names()).toEqual(new Set(["owner"]));
  expect(problems()).toEqual(["no-port"]);
  // An engine's list says the same of it as before.
  stand.engine.putUnlisted("guest", { ...guest, state: anew("4") });
  await stand.clock.advance(31_000);
  expect(names()).toEqual(new Set(["owner", "guest"]));
});

test("an explanation says what a check found wrong", async () => {
  stand.probe = async () => "it answers HTTP 404";
  stand.engine.put("web", { ...at("32768"), labels: { "berth.check": "http:/", "berth.name": "shop" } });
  stand.start();
  await stand.clock.advance(2_000);
  const lines = stand.reconciler.explain("shop")?.join("\n");
  expect(lines).toContain("starting (it answers HTTP 404)");
  expect(lines).toContain("label berth.name=shop");
});

describe("the first push", () => {
  const checked = () => stand.engine.put("web", { ...at("32768"), labels: { "berth.check": "tcp" } });

  test("waits for the first answers of checks, lest a restarted agent hide what serves", async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    stand.probe = () => promise;
    checked();
    stand.start();
    await stand.clock.advance(2_000);
    expect(stand.declared).toBeUndefined();
    resolve(undefined);
    await stand.clock.advance(100);
    expect(stand.declared?.bindings[0]).toMatchObject({ health: "healthy" });
  });

  test("waits four seconds at most, and later ones not at all", async () => {
    stand.probe = () => new Promise(() => {});
    checked();
    stand.start();
    await stand.clock.advance(3_500);
    expect(stand.declared).toBeUndefined();
    await stand.clock.advance(1_000);
    expect(stand.declared?.bindings[0]).toMatchObject({ health: "starting" });
    stand.engine.event(stand.engine.put("db", { ...at("32769"), labels: { "berth.check": "tcp" } }));
    await stand.clock.advance(500);
    expect(names()).toEqual(new Set(["web", "db"]));
  });
});

test("a container that restarts again and again is declared as a last resort, until it is steady", async () => {
  stand.start();
  for (let run = 0; run < 8; run++) {
    const state = { StartedAt: `2026-11-22T10:00:0${run}Z` };
    stand.engine.event(stand.engine.put("web", { ...at(String(32768 + run)), state }));
    await stand.clock.advance(2_000);
  }
  expect(problems()).toEqual(["flapping"]);
  expect(stand.declared?.bindings[0]).toMatchObject({ port: 32775, health: "unhealthy" });
  await stand.clock.advance(300_000);
  expect(problems()).toEqual([]);
  expect(stand.declared?.bindings[0]).toMatchObject({ port: 32775, health: "none" });
});

test("a container whose check fails and succeeds again and again is a last resort as well", async () => {
  let fault: string | undefined;
  stand.probe = async () => fault;
  const labels = { "berth.check": "tcp,interval=1s" };
  stand.engine.put("web", { ...at("32768"), labels });
  stand.start();
  await stand.clock.advance(5_000);
  for (let time = 0; time < 8; time++) {
    fault = fault === undefined ? "refused" : undefined;
    await stand.clock.advance(4_000);
  }
  expect(problems()).toEqual(["flapping"]);
});

describe("a resolver", () => {
  test("that is away for a day is asked in peace, and has everything within ten seconds of its return", async () => {
    stand.engine.put("web", at("32768"));
    stand.resolver.isDown = true;
    let asked = 0;
    const { answer } = stand.resolver;
    stand.resolver.answer = (request) => {
      asked += 1;
      return answer.call(stand.resolver, request);
    };
    stand.start();
    await stand.clock.advance(86_400_000);
    // At most one request in five seconds, with the longest pause jittered to its shortest.
    expect(asked).toBeLessThan(86_400 / 5 + 100);
    expect(asked).toBeGreaterThan(86_400 / 10 - 100);
    stand.engine.put("late", at("32769"));
    await stand.clock.advance(30_000);
    stand.resolver.isDown = false;
    await stand.clock.advance(10_100);
    expect(names()).toEqual(new Set(["web", "late"]));
  }, 120_000);

  test("that is slow gets the newest set after the one under way, and none of those between", async () => {
    stand.start();
    await stand.clock.advance(2_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    const { answer } = stand.resolver;
    const before = stand.resolver.requests.length;
    stand.resolver.answer = async (request) => {
      await promise;
      return answer.call(stand.resolver, request);
    };
    for (let number = 0; number < 90; number++) {
      stand.engine.event(stand.engine.put(`c${number}x`, at(String(32_768 + number))));
      if (number % 10 === 0) await stand.clock.advance(10);
    }
    await stand.clock.advance(1_000);
    resolve();
    await stand.clock.advance(2_000);
    const pushes = stand.resolver.requests.slice(before).filter(({ kind }) => kind !== "renew");
    expect(pushes.length).toBeLessThanOrEqual(2);
    expect(names().size).toBe(90);
  });
});

describe("relays", () => {
  const labels = { "berth.publish": "true" };
  let target: Server;

  beforeEach(async () => {
    target = createServer((socket) => socket.end("from the container")).listen(0, "127.0.0.1");
    await once(target, "listening");
    stand.addresses = async () => ({ addresses: ["127.0.0.1" as Address], local: true });
  });
  afterEach(() => target.close());

  function unpublished(): string {
    const { port } = target.address() as AddressInfo;
    return stand.engine.put("web", {
      labels,
      ports: {},
      asked: {},
      config: { ExposedPorts: { [`${port}/tcp`]: {} } },
      networks: { bridge: { IPAddress: "127.0.0.1" } },
    });
  }

  async function declaredPort(): Promise<number> {
    return vi.waitFor(async () => {
      await stand.clock.advance(100);
      const port = stand.declared?.bindings[0]?.port;
      if (port === undefined) throw new Error("nothing is declared yet");
      return port;
    });
  }

  test("an unpublished port is declared where the agent relays it", async () => {
    unpublished();
    stand.start();
    const port = await declaredPort();
    expect(port).toBeGreaterThanOrEqual(20_000);
    const socket = dial(port, "127.0.0.1");
    const [said] = (await once(socket, "data")) as [Buffer];
    expect(said.toString()).toBe("from the container");
    socket.destroy();
    expect(stand.declared?.bindings[0]).toMatchObject({ fixed: false });
  });

  test("the end of the agent takes them out of the registry first, and nothing else", async () => {
    unpublished();
    stand.engine.put("other", at("32768"));
    stand.start();
    const port = await declaredPort();
    expect(names()).toEqual(new Set(["web", "other"]));
    await stand.end();
    expect(names()).toEqual(new Set(["other"]));
    const socket = dial(port, "127.0.0.1");
    await expect(once(socket, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("a resolver that is away does not keep the agent from ending", async () => {
    unpublished();
    stand.start();
    await declaredPort();
    stand.resolver.isDown = true;
    const ended = stand.end();
    await stand.clock.advance(5_000);
    await ended;
  });
});
