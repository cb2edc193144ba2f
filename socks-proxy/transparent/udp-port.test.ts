import { Socket } from "node:dgram";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Resolution } from "../../client/answers/resolution.ts";
import { DeadEndpoints } from "../../client/connect/dead-endpoints.ts";
import { addressOf } from "../../client/testing/doh-server.ts";
import { parseName } from "../../shared/name.ts";
import { freePort } from "../../shared/testing/free-port.ts";
import { until } from "../../test/testbed/wait.ts";
import type { Drainable } from "../drain.ts";
import { openUdpEcho, openUdpPeer, type UdpPeer } from "../testing/udp-client.ts";
import { createUdpBudget, standardUdpBounds } from "../udp/udp-budget.ts";
import { HandClock } from "./testing/hand-clock.ts";
import { openUdpPort, type UdpService } from "./udp-port.ts";
import { OpenSessions } from "./udp-service.ts";

/** Nothing can be connected to there: it is for sockets that may broadcast. */
const unconnectable = { host: "255.255.255.255", port: 9 };

let clock: HandClock;
let service: UdpService;
let sessions: OpenSessions;
/** Where the service is, the first one first. */
let answer: Resolution;
let questions: { fresh: boolean }[];
let moved: { bytesUp: number; bytesDown: number };
let closers: (() => void)[];
let port: number;

beforeEach(async () => {
  clock = new HandClock();
  questions = [];
  moved = { bytesUp: 0, bytesDown: 0 };
  closers = [];
  sessions = new OpenSessions();
  service = {
    async resolve(_, fresh) {
      questions.push({ fresh });
      return answer;
    },
    budget: createUdpBudget(standardUdpBounds),
    dead: new DeadEndpoints(),
    random: () => 0,
    sessions,
    moved(direction, octets) {
      moved[direction] += octets;
    },
    isLocal: (address) => address === "127.0.0.1",
    onConnection: () => {},
    clock,
  };
  port = await freePort();
});

afterEach(() => {
  for (const close of closers) close();
});

describe("of two places of a service", () => {
  test("the one that refuses is left for the other, and the next client goes to the other at once", async () => {
    const [gone, there] = [await closedPeer(), await opened(openUdpEcho())];
    answer = endpoints(gone, there);
    await open();
    const client = await opened(openUdpPeer());
    await sendUntilAnswered(client);
    expect(questions.map(({ fresh }) => fresh)).toEqual([false, true]);
    const next = await opened(openUdpPeer());
    next.send(Buffer.from("first"), port);
    expect(`${(await next.next()).datagram}`).toBe("first");
  });

  test("the one that cannot be connected to costs no datagram", async () => {
    answer = endpoints(unconnectable, await opened(openUdpEcho()));
    await open();
    const client = await opened(openUdpPeer());
    client.send(Buffer.from("one"), port);
    client.send(Buffer.from("two"), port);
    expect(`${(await client.next()).datagram} ${(await client.next()).datagram}`).toBe("one two");
  });

  test("the one that works is stayed with when the other is back", async () => {
    const [gone, there] = [await closedPeer(), await opened(openUdpEcho())];
    answer = endpoints(gone, there);
    await open();
    const client = await opened(openUdpPeer());
    await sendUntilAnswered(client);
    const back = await opened(openUdpPeer());
    answer = endpoints(back, there);
    clock.advance(11_000);
    await sendUntilAnswered(client);
    await sendUntilAnswered(client);
    expect(back.unread()).toBe(0);
  });

  test("the one that is silent is stayed with: its protocol may have no answers", async () => {
    const silent = await opened(openUdpPeer());
    answer = endpoints(silent, await opened(openUdpEcho()));
    await open();
    const client = await opened(openUdpPeer());
    for (const text of ["one", "two", "three"]) {
      client.send(Buffer.from(text), port);
      expect(`${(await silent.next()).datagram}`).toBe(text);
      clock.advance(1_000);
    }
    expect(client.unread()).toBe(0);
  });
});

test("of many places of which one answers, that one is found within one fresh question", async () => {
  const gone = await Promise.all(Array.from({ length: 5 }, closedPeer));
  answer = endpoints(...gone, unconnectable, await opened(openUdpEcho()));
  await open();
  await sendUntilAnswered(await opened(openUdpPeer()));
  expect(questions.filter(({ fresh }) => fresh)).toHaveLength(1);
});

test("where every place refuses, datagrams cost no sockets", async () => {
  let taken = 0;
  const { budget } = service;
  service.budget = {
    ...budget,
    upstream(client) {
      taken++;
      return budget.upstream(client);
    },
  };
  answer = endpoints(await closedPeer(), await closedPeer());
  await open();
  const client = await opened(openUdpPeer());
  const sent = vi.spyOn(Socket.prototype, "send");
  const pastRelay = () => sent.mock.calls.filter(([, to]) => typeof to === "function").length;
  const sending = setInterval(() => client.send(Buffer.from("x"), port), 1);
  closers.push(() => clearInterval(sending));
  await until("fifty datagrams", () => pastRelay() > 50);
  expect(taken).toBeLessThan(4);
});

describe("a datagram is dropped", () => {
  test("beyond the octets that may wait while the service is looked for", async () => {
    const found = Promise.withResolvers<Resolution>();
    service.resolve = () => found.promise;
    service.budget = createUdpBudget({ ...standardUdpBounds, waitingOctets: 8 });
    const came = waitingFor(3);
    await open();
    const client = await opened(openUdpPeer());
    for (const text of ["12345", "too long", "678"]) client.send(Buffer.from(text), port);
    await came;
    found.resolve(endpoints(await opened(openUdpEcho())));
    expect(`${(await client.next()).datagram} ${(await client.next()).datagram}`).toBe("12345 678");
  });

  test("while the system has more than it can send, either way", async () => {
    answer = endpoints(await opened(openUdpEcho()));
    await open();
    const client = await opened(openUdpPeer());
    await sendUntilAnswered(client);
    const full: boolean[] = [];
    vi.spyOn(Socket.prototype, "getSendQueueSize").mockImplementation(() =>
      full.shift() === true ? (1 << 20) + 1 : 0,
    );
    full.push(true);
    client.send(Buffer.from("lost on its way"), port);
    await until("one was asked", () => full.length === 0);
    full.push(false, true);
    client.send(Buffer.from("its answer is lost"), port);
    await until("both were asked", () => full.length === 0);
    client.send(Buffer.from("kept"), port);
    expect(`${(await client.next()).datagram}`).toBe("kept");
  });
});

test("what goes to the service and what comes back is counted", async () => {
  const peer = await opened(openUdpPeer());
  answer = endpoints(peer);
  await open();
  const client = await opened(openUdpPeer());
  client.send(Buffer.alloc(7), port);
  const { port: upstream } = await peer.next();
  peer.send(Buffer.alloc(3), upstream);
  await client.next();
  expect(moved).toEqual({ bytesUp: 7, bytesDown: 3 });
});

describe("a client", () => {
  test("of a name that leads nowhere takes no place", async () => {
    answer = { kind: "not-found", reason: "" };
    await open();
    (await opened(openUdpPeer())).send(Buffer.from("x"), port);
    await until("it was asked for", () => questions.length === 1);
    await until("its place is free", () => sessions.count === 0);
  });

  test("that is quiet for two minutes is forgotten, and one that is not is kept", async () => {
    answer = endpoints(await opened(openUdpEcho()));
    await open();
    const [quiet, busy] = [await opened(openUdpPeer()), await opened(openUdpPeer())];
    await sendUntilAnswered(quiet);
    clock.advance(60_000);
    await sendUntilAnswered(busy);
    clock.advance(60_000);
    expect(sessions.count).toBe(1);
    clock.advance(60_000);
    expect(sessions.count).toBe(0);
  });

  test("takes the place of the one that was quiet for longest, when there is none left", async () => {
    answer = endpoints(await opened(openUdpEcho()));
    await open();
    const clients = await Promise.all(Array.from({ length: 256 }, () => opened(openUdpPeer())));
    for (const client of clients) await sendUntilAnswered(client);
    const late = await opened(openUdpPeer());
    late.send(Buffer.from("no room yet"), port);
    await sendUntilAnswered(clients[0]);
    expect([sessions.count, late.unread()]).toEqual([256, 0]);
    clock.advance(5_000);
    await sendUntilAnswered(late);
    expect(sessions.count).toBe(256);
  });

  test("goes with its port", async () => {
    answer = endpoints(await opened(openUdpEcho()));
    const listener = await open();
    await sendUntilAnswered(await opened(openUdpPeer()));
    listener.close();
    expect(sessions.count).toBe(0);
    await openAgain();
  });

  test("that is drained stays when its port is closed, and nobody else is let in", async () => {
    answer = endpoints(await opened(openUdpEcho()));
    const all = new Set<Drainable>();
    const draining = { isDraining: false, add: (one: Drainable) => all.add(one).size > 0 };
    service.sessions = Object.assign(draining, { remove: (one: Drainable) => void all.delete(one) });
    const listener = await open();
    const client = await opened(openUdpPeer());
    await sendUntilAnswered(client);
    draining.isDraining = true;
    listener.close();
    const late = await opened(openUdpPeer());
    late.send(Buffer.from("late"), port);
    await sendUntilAnswered(client);
    expect(late.unread()).toBe(0);
    for (const session of all) session.end();
    await openAgain();
  });
});

async function open() {
  const at = { address: addressOf("127.0.0.1"), protocol: "udp", port } as const;
  const listener = await openUdpPort(parseName("dns.shop.berth.internal"), at, service);
  closers.push(() => listener.close());
  return listener;
}

/** The system takes a moment to free a port. */
async function openAgain(): Promise<void> {
  await until("the port is free", () =>
    open().then(
      () => true,
      () => false,
    ),
  );
}

async function opened(opening: Promise<UdpPeer>): Promise<UdpPeer> {
  const peer = await opening;
  closers.push(peer.close);
  return peer;
}

/** Where nobody listens. */
async function closedPeer(): Promise<{ port: number }> {
  return { port: await freePort() };
}

function endpoints(...places: { port: number; host?: string }[]): Resolution {
  const found = places.map(({ port: at, host = "127.0.0.1" }) => ({
    addresses: [addressOf(host)],
    port: at,
    priority: 0,
    weight: 1,
  }));
  return { kind: "endpoints", endpoints: found, inZone: true };
}

/** Datagrams are lost until one has brought a refusal back. */
async function sendUntilAnswered(client: UdpPeer | undefined): Promise<void> {
  if (client === undefined) return;
  client.send(Buffer.from("x"), port);
  const sending = setInterval(() => client.send(Buffer.from("again"), port), 20);
  const stop = (): void => clearInterval(sending);
  closers.unshift(stop);
  await client.next();
  stop();
}

/** Until so many datagrams have asked for room to wait. */
function waitingFor(count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { budget } = service;
  let asked = 0;
  service.budget = {
    ...budget,
    waiting(octets) {
      asked++;
      if (asked === count) resolve();
      return budget.waiting(octets);
    },
  };
  return promise;
}
