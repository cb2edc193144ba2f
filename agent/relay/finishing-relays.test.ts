import { createSocket, type Socket as Udp } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Address } from "../../shared/address.ts";
import { AgentStand } from "../testing/agent-stand.ts";
import type { InspectParts } from "../testing/builders.ts";
import { settle } from "../testing/fake-clock.ts";
import { silent } from "../testing/fake-engine.ts";
import { RelayStand, whenEvent } from "../testing/relay-stand.ts";
import { FinishingRelays } from "./finishing-relays.ts";
import { noTraffic } from "./open-relay.ts";

// What goes on at a relay whose container is not declared any more: as much as at a published port.

let stand: AgentStand;
let sockets: RelayStand;
let inside: number;
let web: InspectParts;
let id: string;

beforeEach(async () => {
  stand = new AgentStand();
  sockets = new RelayStand();
  inside = await sockets.serve((socket) => void socket.pipe(socket));
  stand.addresses = async () => ({ addresses: ["127.0.0.1" as Address], local: true });
  web = {
    labels: { "berth.publish": "true" },
    ports: {},
    asked: {},
    config: { ExposedPorts: { [`${inside}/tcp`]: {} } },
    networks: { bridge: { IPAddress: "127.0.0.1" } },
  };
  id = stand.engine.put("web", web);
});
afterEach(async () => {
  await stand.end();
  await sockets.close();
});

describe("a connection that was relayed when its container", () => {
  let client: Socket;
  let port: number;

  beforeEach(async () => {
    stand.start();
    port = await declaredPort();
    client = sockets.connect(port);
    await echoed("before");
  });

  test("was told to stop goes on until that run is over, and nobody new is let in", async () => {
    await tellToStop();
    await refused();
    await echoed("while it drains");
    expect(stand.reconciler.relays.finishing).toMatchObject([
      { port, counters: { connectionsOpen: 1, bytesIn: "before".length + "while it drains".length } },
    ]);
    const cut = whenEvent(client, "error");
    stand.engine.remove(id);
    stand.engine.event(id);
    await stand.clock.advance(100);
    expect(await cut).toMatchObject({ code: "ECONNRESET" });
    expect(stand.reconciler.relays.finishing).toEqual([]);
    expect(stand.log.matching(/relay of web closed/)).toEqual([
      "info relay of web closed to new connections; 1 go on",
    ]);
  });

  test("was paused goes on, and after the pause others come in by the same port again", async () => {
    await change({ ...web, state: { Paused: true } });
    await refused();
    await echoed("while it stands still");
    await change(web);
    expect(await declaredPort()).toBe(port);
    await once(sockets.connect(port), "connect");
    await echoed("after it");
  });

  test.each([
    ["paused", { Paused: true }],
    ["being stopped", { Running: false, Status: "stopping" }],
    ["being stopped, in the words of a later version", { Running: false, Status: "running" }],
  ])("is %s goes on also where no list tells of it, and ends with that run", async (_, state) => {
    stand.engine.kind = "podman";
    stand.engine.die();
    stand.engine.revive();
    await stand.clock.advance(5_000);
    await declaredPort();
    stand.engine.hide(id);
    await change({ ...web, state });
    expect(stand.declared?.bindings).toEqual([]);
    const { lists } = stand.engine;
    await stand.clock.advance(65_000);
    expect(stand.engine.lists).toBeGreaterThan(lists + 1);
    await refused();
    await echoed("no list tells of it");
    const cut = whenEvent(client, "error");
    await change({ ...web, state: { Running: false, Status: "exited" } });
    expect(await cut).toMatchObject({ code: "ECONNRESET" });
  });

  test("was hidden, because its engine is silent, goes on", async () => {
    stand.engine.listFault = silent();
    await stand.clock.advance(95_000);
    expect(stand.declared?.bindings).toEqual([]);
    await refused();
    await echoed("still there");
  });

  test("was told to stop ends with the new run, which has the port", async () => {
    await tellToStop();
    const cut = whenEvent(client, "error");
    await change({ ...web, state: { StartedAt: "2026-11-22T12:00:00Z" } });
    expect(await cut).toMatchObject({ code: "ECONNRESET" });
    expect(await declaredPort()).toBe(port);
  });

  async function echoed(text: string): Promise<void> {
    client.write(text);
    expect(String((await once(client, "data"))[0])).toBe(text);
  }

  async function refused(): Promise<void> {
    expect(await whenEvent(sockets.connect(port), "error")).toMatchObject({ code: "ECONNREFUSED" });
  }
});

test("a relay whose last connection ended by itself is closed then, and not again with its container", async () => {
  const finishing = new FinishingRelays();
  const last = Promise.withResolvers<void>();
  const close = vi.fn(async () => {});
  const target = { address: "127.0.0.1" as Address, port: 1 };
  const wanted = { key: "web", container: "web", run: "web@1", protocol: "tcp", listen: [], target } as const;
  const relay = { retarget: () => {}, finish: () => last.promise, close };
  finishing.add({ wanted, port: 20_000, relay, counters: { ...noTraffic } });
  finishing.keepOnly(new Set(["web@1"]));
  await settle();
  expect(close).not.toHaveBeenCalled();
  last.resolve();
  await settle();
  expect(close).toHaveBeenCalledTimes(1);
  finishing.keepOnly(new Set());
  expect(close).toHaveBeenCalledTimes(1);
});

test("a client of UDP that was served when its container was paused goes on, others are let in after it", async () => {
  const server = await bound();
  server.on("message", (text, { port, address }) => server.send(text, port, address));
  const udp = { ...web, config: { ExposedPorts: { [`${server.address().port}/udp`]: {} } } };
  stand.engine.put("web", udp);
  stand.start();
  const port = await declaredPort();
  const [client, stranger] = [await bound(), await bound()];
  const ask = async (text: string): Promise<string> => {
    client.send(text, port, "127.0.0.1");
    return String((await once(client, "message"))[0]);
  };
  try {
    expect(await ask("before")).toBe("before");
    await change({ ...udp, state: { Paused: true } });
    expect(stand.declared?.bindings).toEqual([]);
    expect(stand.log.matching(/relay of web closed/)).toEqual(["info relay of web closed to new clients"]);
    let isAnswered = false;
    stranger.once("message", () => {
      isAnswered = true;
    });
    stranger.send("hello", port, "127.0.0.1");
    expect(await ask("while it stands still")).toBe("while it stands still");
    expect(isAnswered).toBe(false);
    await change(udp);
    expect(await declaredPort()).toBe(port);
    expect(await ask("anew")).toBe("anew");
    stranger.send("hello", port, "127.0.0.1");
    await expect.poll(() => isAnswered).toBe(true);
  } finally {
    for (const socket of [server, client, stranger]) socket.close();
  }
});

test("the first push of an agent waits for its relays, lest a restart hide what they lead to", async () => {
  stand.engine.put("published", { ports: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "32768" }] } });
  stand.start();
  await declaredPort();
  const first = stand.resolver.requests.find(({ kind }) => kind === "push");
  expect(new Set(first?.declared?.bindings.map(({ container }) => container))).toEqual(
    new Set(["web", "published"]),
  );
});

async function change(parts: InspectParts): Promise<void> {
  stand.engine.put("web", parts);
  stand.engine.event(id);
  await stand.clock.advance(100);
}

async function tellToStop(): Promise<void> {
  stand.engine.tell({ kind: "stopping", id, signal: "15", atMs: Date.parse("2026-11-22T11:00:00Z") });
  await stand.clock.advance(100);
  expect(stand.declared?.bindings).toEqual([]);
}

async function declaredPort(): Promise<number> {
  return vi.waitFor(async () => {
    await stand.clock.advance(100);
    const port = stand.declared?.bindings.find(({ container }) => container === "web")?.port;
    if (port === undefined) throw new Error("nothing is declared yet");
    return port;
  });
}

async function bound(): Promise<Udp> {
  const socket = createSocket("udp4");
  await new Promise<void>((ready) => socket.bind(0, "127.0.0.1", ready));
  return socket;
}
