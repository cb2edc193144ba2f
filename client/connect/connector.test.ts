import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import type { Destination } from "../answers/destination.ts";
import type { Resolution } from "../answers/resolution.ts";
import { closedPort } from "../testing/closed-port.ts";
import { addressOf } from "../testing/doh-server.ts";
import { type ScriptedStub, scriptedStub } from "../testing/scripted-stub.ts";
import { startSilentEndpoint } from "../testing/silent-endpoint.ts";
import { dialCandidate } from "./connect-attempts.ts";
import { type ConnectOptions, type ConnectOutcome, createConnector } from "./connector.ts";

const web: Destination = { kind: "name", name: "web.berth.internal", port: 80 };
const notFound: Resolution = { kind: "not-found", reason: "nothing is published under this name" };
const never = new AbortController().signal;

let servers: Server[];
let accepted: number;
let stub: ScriptedStub;
/** Every socket the attempts made. */
let dialled: Socket[];
let patienceMs: number;

beforeEach(() => {
  servers = [];
  accepted = 0;
  dialled = [];
  patienceMs = 30_000;
  stub = scriptedStub(notFound);
});

afterEach(async () => {
  for (const socket of dialled) socket.destroy();
  await Promise.all(servers.map((server) => close(server)));
});

describe("a name with endpoints", () => {
  test("is connected to with one question and one attempt, half-close allowed", async () => {
    const port = await listen();
    stub.now = endpoints(port);
    const outcome = await connect(web);
    expect(outcome).toMatchObject({ kind: "connected", candidate: { address: "127.0.0.1", port } });
    expect(stub.asked).toEqual({ fresh: 0, other: 1 });
    expect(dialled.map(({ allowHalfOpen }) => allowHalfOpen)).toEqual([true]);
  });

  test("is connected to without a question where the answer is at hand", async () => {
    const found = endpoints(await listen());
    stub.resolveCached = () => found;
    expect(await connect(web)).toMatchObject({ kind: "connected" });
    expect(stub.asked).toEqual({ fresh: 0, other: 0 });
  });

  test("that is refused at one is connected to at the next, and that one is tried last from then on", async () => {
    const [dead, port] = [await closedPort(), await listen()];
    stub.now = endpoints(dead, port);
    const connector = newConnector();
    const orders: number[][] = [];
    for (let round = 0; round < 2; round++) {
      const tried: number[] = [];
      const dial: ConnectOptions["dial"] = (candidate) => {
        tried.push(candidate.port);
        return watched(dialCandidate(candidate));
      };
      await connector.connect(web, { signal: never, dial });
      orders.push(tried);
    }
    expect(orders).toEqual([[dead, port], [port]]);
    stub.change(new Set([parseName("web.berth.internal")]));
    expect(await connect(web, {}, connector)).toMatchObject({ candidate: { port } });
    // Forgotten with the change, so it was tried first again.
    expect(dialled).toHaveLength(5);
  });

  test("that is refused at many is connected to at once all the same", async () => {
    const [dead, port] = [await closedPort(), await listen()];
    const addresses = Array.from({ length: 30 }, (_, host) => addressOf(`127.0.1.${host}`));
    // Thirty of them would take 7.5 s at the pace of silent ones, which is more than a test may take.
    const refusing = { addresses, port: dead, priority: 1, weight: 0 };
    stub.now = { kind: "endpoints", endpoints: [refusing, at(port, 2)], inZone: true };
    expect(await connect(web)).toMatchObject({ candidate: { port } });
    expect(dialled).toHaveLength(31);
  });

  test("that names one endpoint twice is tried there once", async () => {
    const port = await closedPort();
    patienceMs = 0;
    stub.now = endpoints(port, port);
    expect(await connect(web)).toMatchObject({ failures: [{ errno: "ECONNREFUSED" }] });
    expect(dialled).toHaveLength(1);
  });

  test("lower priorities come first, whatever their weights", async () => {
    const [first, second] = [await listen(), await listen()];
    const [spare, main] = [at(second, 20, 65_535), at(first, 10, 0)];
    stub.now = { kind: "endpoints", endpoints: [spare, main], inZone: true };
    expect(await connect(web)).toMatchObject({ candidate: { port: first } });
    await close(servers.shift());
    expect(await connect(web)).toMatchObject({ candidate: { port: second } });
  });
});

describe("silent endpoints", () => {
  let silent: Awaited<ReturnType<typeof startSilentEndpoint>>;

  beforeEach(async () => {
    silent = await startSilentEndpoint();
  });
  afterEach(() => silent.close());

  test("are not waited for, and tried last from then on", async () => {
    const port = await listen();
    stub.now = endpoints(silent.port, port);
    const connector = newConnector();
    expect(await connect(web, {}, connector)).toMatchObject({ candidate: { port } });
    expect(dialled.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    await connect(web, {}, connector);
    expect(dialled).toHaveLength(3);
  });

  test("are left for where the service is now, before they are given up", async () => {
    const port = await listen();
    stub.cached = endpoints(silent.port);
    stub.now = endpoints(port);
    expect(await connect(web)).toMatchObject({ candidate: { port } });
    expect(dialled[0]?.destroyed).toBe(true);
  });
});

describe("a service that restarts", () => {
  test("on another port is found by one fresh question past every cache", async () => {
    const [dead, port] = [await closedPort(), await listen()];
    stub.cached = endpoints(dead);
    stub.now = endpoints(port);
    expect(await connect(web)).toMatchObject({ candidate: { port } });
    expect(stub.asked).toEqual({ fresh: 1, other: 1 });
  });

  test("on another port after a while is waited for, by asking again", async () => {
    stub.now = endpoints(await closedPort());
    const outcome = connect(web);
    await until(() => stub.asked.fresh === 2);
    const port = await listen();
    stub.now = endpoints(port);
    expect(await outcome).toMatchObject({ candidate: { port } });
  });

  test("is found the moment a change is heard of", async () => {
    stub.now = endpoints(await closedPort());
    const outcome = connect(web);
    await until(() => stub.asked.fresh === 1);
    const port = await listen();
    stub.now = endpoints(port);
    stub.change(new Set([parseName("web.berth.internal")]));
    expect(await outcome).toMatchObject({ candidate: { port } });
    expect(stub.asked.fresh).toBe(2);
  });

  test("on the same port, published before it listens, is tried again until it does", async () => {
    const port = await closedPort();
    stub.now = endpoints(port);
    const outcome = connect(web);
    await until(() => dialled.length === 3);
    await listen(port);
    expect(await outcome).toMatchObject({ candidate: { port } });
  });

  test("is waited for while its name is gone", async () => {
    const outcome = connect(web);
    await until(() => stub.asked.fresh === 2);
    const port = await listen();
    stub.now = endpoints(port);
    expect(await outcome).toMatchObject({ candidate: { port } });
  });

  test("is waited for while its name has other ports only", async () => {
    stub.recentPort = true;
    stub.now = { kind: "port-not-published", published: [443] };
    const outcome = connect(web);
    await until(() => stub.asked.fresh === 2);
    const port = await listen();
    stub.now = endpoints(port);
    expect(await outcome).toMatchObject({ candidate: { port } });
  });

  test("is asked for by all who wait for it together, and found by all", async () => {
    stub.now = endpoints(await closedPort());
    const connector = newConnector();
    const waiting = Array.from({ length: 50 }, () => connect(web, {}, connector));
    await until(() => stub.asked.fresh === 2);
    const port = await listen();
    stub.now = endpoints(port);
    stub.change("all");
    const found = await Promise.all(waiting);
    expect(found.filter(({ kind }) => kind === "connected")).toHaveLength(50);
    expect(stub.asked.fresh).toBeLessThan(6);
  });

  test("is probed by one of them at a time, and once it listens all connect", async () => {
    const port = await closedPort();
    stub.now = endpoints(port);
    const connector = newConnector();
    const waiting = Array.from({ length: 100 }, () => connect(web, {}, connector));
    await until(() => dialled.length === 103);
    await listen(port);
    // One after the other they would take 10 s, which is more than a test may take.
    const found = await Promise.all(waiting);
    expect(found.filter(({ kind }) => kind === "connected")).toHaveLength(100);
    // One attempt each at the start, some probes, and one each at the end.
    expect(dialled.length).toBeLessThan(220);
  });
});

describe("patience", () => {
  test("ends, and says what was found", async () => {
    patienceMs = 300;
    const port = await closedPort();
    stub.now = endpoints(port);
    expect(await connect(web)).toEqual({
      kind: "connect-failed",
      failures: [{ candidate: { address: "127.0.0.1", port }, errno: "ECONNREFUSED" }],
    });
    stub.now = notFound;
    expect(await connect(web)).toEqual(notFound);
  });

  test("is not had for a name that never answered", async () => {
    stub.recent = false;
    expect(await connect(web)).toEqual(notFound);
    expect(stub.asked).toEqual({ fresh: 0, other: 1 });
  });

  test("is not had for endpoints of an answer that is old: one fresh answer is all", async () => {
    stub.recent = false;
    stub.now = endpoints(await closedPort());
    expect(await connect(web)).toMatchObject({ kind: "connect-failed" });
    expect(stub.asked).toEqual({ fresh: 1, other: 1 });
  });

  test("is not had for a port that a name does not publish, once a fresh answer says so", async () => {
    const refusal: Resolution = { kind: "port-not-published", published: [443] };
    stub.now = refusal;
    expect(await connect(web)).toEqual(refusal);
    expect(stub.asked).toEqual({ fresh: 1, other: 1 });
  });

  test("is had for a port that was published between two questions", async () => {
    stub.recent = false;
    stub.cached = { kind: "port-not-published", published: [80] };
    stub.now = endpoints(await listen());
    expect(await connect(web)).toMatchObject({ kind: "connected" });
  });

  test.each<Resolution>([
    { kind: "no-answer", reason: "no resolver can be reached" },
    { kind: "no-token", reason: "it wants one" },
    { kind: "bad-name", reason: "it is none" },
    { kind: "not-allowed" },
  ])("is not had for $kind", async (resolution) => {
    stub.now = resolution;
    expect(await connect(web)).toEqual(resolution);
    expect(stub.asked).toEqual({ fresh: 0, other: 1 });
  });

  test("is not had for addresses and names of the system's", async () => {
    const port = await closedPort();
    expect(await connect({ kind: "address", address: addressOf("127.0.0.1"), port })).toMatchObject({
      kind: "connect-failed",
    });
    stub.now = endpoints(port);
    expect(await connect({ kind: "name", name: "example.com", port: 80 })).toMatchObject({
      kind: "connect-failed",
    });
    expect(stub.asked.fresh).toBe(0);
  });

  test("outlasts a resolver that fails meanwhile", async () => {
    stub.cached = endpoints(await closedPort());
    stub.now = { kind: "no-answer", reason: "it restarts" };
    const outcome = connect(web);
    await until(() => stub.asked.fresh === 2);
    stub.now = endpoints(await listen());
    expect(await outcome).toMatchObject({ kind: "connected" });
  });
});

describe("a judge", () => {
  test("is asked about each answer, fresh ones as well, and its refusal is final", async () => {
    const [dead, port] = [await closedPort(), await listen()];
    stub.cached = endpoints(dead);
    stub.now = endpoints(port);
    const judged: Resolution[] = [];
    const judge = (resolution: Resolution): Resolution => {
      judged.push(resolution);
      return judged.length === 1 ? resolution : { kind: "not-allowed" };
    };
    expect(await connect(web, { judge })).toEqual({ kind: "not-allowed" });
    expect(judged).toEqual([stub.cached, stub.now]);
    expect(accepted).toBe(0);
  });

  test("can take endpoints away", async () => {
    const [forbidden, port] = [await listen(), await listen()];
    stub.now = endpoints(forbidden, port);
    const judge = (resolution: Resolution): Resolution =>
      resolution.kind === "endpoints"
        ? { ...resolution, endpoints: resolution.endpoints.filter((one) => one.port !== forbidden) }
        : resolution;
    expect(await connect(web, { judge })).toMatchObject({ candidate: { port } });
    expect(dialled).toHaveLength(1);
  });
});

describe("a client that goes", () => {
  test("before anything began makes nothing begin", async () => {
    expect(await connect(web, { signal: AbortSignal.abort() })).toEqual({
      kind: "connect-failed",
      failures: [],
    });
    expect(stub.asked).toEqual({ fresh: 0, other: 0 });
  });

  test("while its name is resolved ends the question", async () => {
    stub.now = "silence";
    const leaving = new AbortController();
    const outcome = connect(web, { signal: leaving.signal });
    await until(() => stub.waiting === 1);
    leaving.abort();
    expect(await outcome).toEqual({ kind: "connect-failed", failures: [] });
    expect(stub.waiting).toBe(0);
  });

  test("while it is waited for ends the attempts and the asking", async () => {
    const silent = await startSilentEndpoint();
    try {
      stub.cached = endpoints(silent.port);
      stub.now = "silence";
      const leaving = new AbortController();
      const outcome = connect(web, { signal: leaving.signal });
      await until(() => stub.waiting === 1);
      leaving.abort();
      expect(await outcome).toMatchObject({ kind: "connect-failed" });
      expect(dialled.map(({ destroyed }) => destroyed)).toEqual([true]);
      await until(() => stub.waiting === 0);
    } finally {
      await silent.close();
    }
  });

  test("leaves no timer behind, however it ends", async () => {
    // What earlier tests left asleep.
    await until(() => timers() === 0);
    patienceMs = 250;
    stub.now = endpoints(await closedPort());
    await connect(web);
    stub.now = endpoints(await listen());
    await connect(web);
    const leaving = new AbortController();
    stub.now = notFound;
    const outcome = connect(web, { signal: leaving.signal });
    await until(() => stub.asked.fresh > 2);
    leaving.abort();
    await outcome;
    expect(timers()).toBe(0);
  });
});

test("a resolver that does not answer in time is no answer", async () => {
  stub.now = "silence";
  const limits = { connectMs: 10_000, resolveMs: 50, patienceMs };
  const connector = createConnector(stub, limits, { now: () => performance.now(), random: Math.random });
  expect(await connect(web, {}, connector)).toMatchObject({ kind: "no-answer" });
});

function newConnector() {
  const limits = { connectMs: 10_000, resolveMs: 5_000, patienceMs };
  // The order given, which is what tests of the order want.
  return createConnector(stub, limits, { now: () => performance.now(), random: ascending() });
}

async function connect(
  destination: Destination,
  options: Partial<ConnectOptions> = {},
  connector = newConnector(),
): Promise<ConnectOutcome> {
  const dial: ConnectOptions["dial"] = (candidate) => watched(dialCandidate(candidate));
  return connector.connect(destination, { signal: never, dial, ...options });
}

function watched(socket: Socket): Socket {
  dialled.push(socket);
  return socket;
}

/** Makes the weighted choice the order given. */
function ascending(): () => number {
  let calls = 0;
  return () => Math.min(0.9, ++calls / 1_000_000);
}

async function listen(port = 0): Promise<number> {
  const server = createServer((socket) => {
    accepted++;
    socket.on("error", () => {});
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

async function close(server: Server | undefined): Promise<void> {
  if (server === undefined || !server.listening) return;
  const closed = once(server, "close");
  server.close();
  for (const socket of dialled) socket.destroy();
  await closed;
}

function endpoints(...ports: number[]): Resolution {
  return { kind: "endpoints", endpoints: ports.map((port) => at(port)), inZone: true };
}

function at(port: number, priority = 0, weight = 0) {
  return { addresses: [addressOf("127.0.0.1")], port, priority, weight };
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
}

/** Looks again at every turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
