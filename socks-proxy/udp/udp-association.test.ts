import { Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Destination } from "../../client/answers/destination.ts";
import { plainEndpoint, type Resolution } from "../../client/answers/resolution.ts";
import { DeadEndpoints } from "../../client/connect/dead-endpoints.ts";
import type { StubQuestion } from "../../client/stub-resolver.ts";
import { addressOf } from "../../client/testing/doh-server.ts";
import { parseName } from "../../shared/name.ts";
import { acceptChannel } from "../relay/channel.ts";
import { refused } from "../socks/reply.ts";
import { createStandIns } from "../socks/stand-ins.ts";
import { connectRaw, type RawClient } from "../testing/raw-client.ts";
import { datagramTo, datagramToIpv4, openUdpEcho, openUdpPeer, type UdpPeer } from "../testing/udp-client.ts";
import { type AssociationEnd, serveAssociation, type UdpAssociationPorts } from "./udp-association.ts";
import { createUdpBudget, standardUdpBounds } from "./udp-budget.ts";

let ports: UdpAssociationPorts;
let announced: Destination;
let server: Server;
let ends: Promise<AssociationEnd>[];
let closers: (() => void)[];
/** Where names lead; a test's own resolver. */
let answers: Map<string, Resolution>;
let questions: { destination: Destination; question: StubQuestion }[];
let time: number;
let moved: { bytesUp: number; bytesDown: number };

beforeEach(async () => {
  answers = new Map();
  questions = [];
  ends = [];
  closers = [];
  time = 0;
  moved = { bytesUp: 0, bytesDown: 0 };
  announced = { kind: "address", address: addressOf("0.0.0.0"), port: 0 };
  ports = {
    stub: { resolve },
    budget: createUdpBudget(standardUdpBounds),
    dead: new DeadEndpoints(),
    moved(direction, octets) {
      moved[direction] += octets;
    },
    standIns: createStandIns(),
    now: () => time,
    random: () => 0,
    idleMs: 60_000,
    resolveMs: 5_000,
  };
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const channel = acceptChannel(accepted);
    const end = serveAssociation(channel, announced, ports);
    ends.push(end);
    void end.then((outcome) => outcome.kind !== "ended" && channel.socket.end(refused("socks5", outcome)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  for (const close of closers) close();
  await Promise.all(ends);
  server.close();
});

describe("a datagram", () => {
  test("to an address goes there, and the answer says where it truly came from", async () => {
    const echo = await opened(openUdpEcho());
    const { client, relay } = await associated();
    client.send(datagramToIpv4("127.0.0.1", echo.port, "hello"), relay);
    expect((await client.next()).datagram).toEqual(datagramToIpv4("127.0.0.1", echo.port, "hello"));
    expect(moved).toEqual({ bytesUp: 5, bytesDown: 5 });
  });

  test("to a name goes to the endpoint of its UDP port, and the answer carries the endpoint", async () => {
    const echo = await opened(openUdpEcho());
    answers.set("dns.berth.internal:53", endpointAt(echo.port));
    const { client, relay } = await associated();
    client.send(datagramTo("dns.berth.internal", 53, "hello"), relay);
    expect((await client.next()).datagram).toEqual(datagramToIpv4("127.0.0.1", echo.port, "hello"));
    expect(questions.map(({ question }) => question)).toEqual([
      expect.objectContaining({ protocol: "udp", fresh: false }),
    ]);
  });

  test("to a stand-in goes to the name it stands for", async () => {
    const echo = await opened(openUdpEcho());
    answers.set("dns.berth.internal:53", endpointAt(echo.port));
    const standIn = ports.standIns.addressFor(parseName("dns.berth.internal"));
    const { client, relay } = await associated();
    client.send(datagramToIpv4(standIn, 53, "hello"), relay);
    expect(`${(await client.next()).datagram.subarray(10)}`).toBe("hello");
  });

  test("may be empty, and as long as the system lets one be", async () => {
    const echo = await opened(openUdpEcho());
    const { client, relay } = await associated();
    client.send(datagramToIpv4("127.0.0.1", echo.port, ""), relay);
    expect((await client.next()).datagram).toHaveLength(10);
    // 65,507 octets is what IPv4 leaves of 65,535; the header takes ten of them.
    const longest = Buffer.alloc(65_497, "x");
    client.send(datagramToIpv4("127.0.0.1", echo.port, longest), relay);
    expect((await client.next()).datagram.subarray(10).equals(longest)).toBe(true);
  });

  test("whose answer leaves no room for the header is lost, and the next one is not", async () => {
    const peer = await opened(openUdpPeer());
    const { client, relay, control, end } = await associated();
    client.send(datagramToIpv4("127.0.0.1", peer.port, "ask"), relay);
    const { port } = await peer.next();
    peer.send(Buffer.alloc(65_507), port);
    peer.send(Buffer.from("short"), port);
    expect(`${(await client.next()).datagram.subarray(10)}`).toBe("short");
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { dropped: { "not-sent": 1 } } });
  });

  test("over IPv6, to a client that came over IPv6", async () => {
    const echo = await opened(openUdpEcho("::1"));
    const { client, relay } = await associated("::1");
    const loopback = [...new Uint8Array(15), 1];
    const datagram = Buffer.of(0, 0, 0, 4, ...loopback, echo.port >> 8, echo.port & 255, 7);
    client.send(datagram, relay);
    expect((await client.next()).datagram).toEqual(datagram);
  });
});

describe("dropped, in silence and counted, is", () => {
  test("a fragment, and a header that is none", async () => {
    const { client, relay, control, end } = await associated();
    client.send(datagramTo("web", 1, "part", 1), relay);
    client.send(Buffer.of(0, 0, 0, 9), relay);
    client.send(Buffer.alloc(0), relay);
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { dropped: { fragment: 1, malformed: 2 } } });
    expect(client.unread()).toBe(0);
  });

  test("what comes from another address than the client's own", async () => {
    const echo = await opened(openUdpEcho());
    const stranger = await opened(openUdpPeer("127.0.0.2"));
    const { client, relay, control, end } = await associated();
    stranger.send(datagramToIpv4("127.0.0.1", echo.port, "no"), relay, "127.0.0.1");
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { up: 1, dropped: { "wrong-sender": 1 } } });
    expect(stranger.unread()).toBe(0);
  });

  test("what comes from another port than the first datagram did", async () => {
    const { client, relay, control, end } = await associated();
    await passedThrough(client, relay);
    const second = await opened(openUdpPeer());
    second.send(datagramTo("web", 1, "no"), relay);
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { up: 2, dropped: { "wrong-sender": 1 } } });
  });

  test("what comes from another port than the one announced, even first", async () => {
    const client = await opened(openUdpPeer());
    announced = { kind: "address", address: addressOf("0.0.0.0"), port: client.port };
    const { control, relay, end } = await associated();
    const other = await opened(openUdpPeer());
    other.send(datagramTo("web", 1, "no"), relay);
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { up: 1, dropped: { "wrong-sender": 1 } } });
  });

  test("an answer from somebody else than the endpoint", async () => {
    const peer = await opened(openUdpPeer());
    const stranger = await opened(openUdpPeer());
    const { client, relay } = await associated();
    client.send(datagramToIpv4("127.0.0.1", peer.port, "ask"), relay);
    const { port } = await peer.next();
    stranger.send(Buffer.from("forged"), port);
    peer.send(Buffer.from("true"), port);
    expect(`${(await client.next()).datagram.subarray(10)}`).toBe("true");
    expect(client.unread()).toBe(0);
  });

  test("an answer while the client's system has more than it can send", async () => {
    const peer = await opened(openUdpPeer());
    const { client, relay, control, end } = await associated();
    client.send(datagramToIpv4("127.0.0.1", peer.port, "ask"), relay);
    const { port } = await peer.next();
    let isFull = true;
    vi.spyOn(Socket.prototype, "getSendQueueSize").mockImplementation(function (this: Socket) {
      if (this.address().port !== relay || !isFull) return 0;
      isFull = false;
      return (1 << 20) + 1;
    });
    peer.send(Buffer.from("too much"), port);
    peer.send(Buffer.from("kept"), port);
    expect(`${(await client.next()).datagram.subarray(10)}`).toBe("kept");
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { down: 1, dropped: { "not-sent": 1 } } });
  });

  test("what goes to a name without an answer, and to what the policy denies", async () => {
    const { client, relay, control, end } = await associated();
    ports.stub = {
      resolve: async (wanted, question) =>
        wanted.port === 9 ? { kind: "not-allowed" } : resolve(wanted, question),
    };
    client.send(datagramTo("nobody.berth.internal", 53, "lost"), relay);
    client.send(datagramToIpv4("127.0.0.1", 9, "denied"), relay);
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { dropped: { "not-resolved": 2 } } });
  });

  test("all but the first 16 while a name is being resolved", async () => {
    const echo = await opened(openUdpEcho());
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Resolution>();
    ports.stub = {
      resolve(destination) {
        if (destination.kind !== "name") return resolve(destination, {});
        asked.resolve();
        return answer.promise;
      },
    };
    const { client, relay, control, end } = await associated();
    for (let i = 0; i < 20; i++) client.send(datagramTo("slow.berth.internal", 53, `${i}`), relay);
    await asked.promise;
    await passedThrough(client, relay);
    answer.resolve(endpointAt(echo.port));
    const came: string[] = [];
    while (came.length < 16) came.push(`${(await client.next()).datagram.subarray(10)}`);
    expect(came.toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 16 }, (_, i) => `${i}`),
    );
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { dropped: { "too-many": 4 } } });
  });

  test("what goes to a 257th destination, until one of the others was quiet for 5 s", async () => {
    const echo = await opened(openUdpEcho());
    const { client, relay, control, end } = await associated();
    for (let i = 0; i < 256; i++) {
      client.send(datagramToIpv4("127.0.0.1", echo.port, "x"), relay);
      answers.set(`n${i}:1`, endpointAt(echo.port));
      if (i > 0) client.send(datagramTo(`n${i}`, 1, "x"), relay);
      await client.next();
      if (i > 0) await client.next();
    }
    client.send(datagramTo("web", 1, "one too many"), relay);
    client.send(datagramTo("n255", 1, "known"), relay);
    expect(`${(await client.next()).datagram.subarray(10)}`).toBe("known");
    time += 6_000;
    await passedThrough(client, relay);
    control.socket.end();
    expect(await end()).toMatchObject({ counts: { dropped: { "too-many": 1 } } });
  });
});

describe("a name's endpoint", () => {
  test("is kept while it stands in the answer, and another taken when it does not", async () => {
    const [old, next] = [await opened(openUdpEcho()), await opened(openUdpEcho())];
    answers.set("dns:53", endpointAt(old.port));
    const { client, relay } = await associated();
    const ask = () => portThatAnswers(client, relay);
    expect(await ask()).toBe(old.port);
    answers.set("dns:53", endpointAt(next.port, old.port));
    time += 1_000;
    expect([await ask(), await ask()]).toEqual([old.port, old.port]);
    answers.set("dns:53", endpointAt(next.port));
    time += 1_000;
    // The datagram that has it asked again still goes the old way, and its answer comes all the same.
    expect([await ask(), await ask()]).toEqual([old.port, next.port]);
  });

  test("that refuses (ICMP) is asked for past every cache, and left for another", async () => {
    const gone = await openUdpPeer();
    const next = await opened(openUdpEcho());
    answers.set("dns:53", endpointAt(gone.port));
    const { client, relay } = await associated();
    client.send(datagramTo("dns", 53, "first"), relay);
    await gone.next();
    const closed = once(gone.socket, "close");
    gone.close();
    await closed;
    answers.set("dns:53", endpointAt(gone.port, next.port));
    time += 500;
    // Datagrams are lost until one has brought the refusal back.
    const sending = setInterval(() => {
      time += 100;
      client.send(datagramTo("dns", 53, "again"), relay);
    }, 10);
    closers.push(() => clearInterval(sending));
    const { datagram } = await client.next();
    clearInterval(sending);
    expect(datagram.readUInt16BE(8)).toBe(next.port);
    expect(questions.some(({ question }) => question.fresh === true)).toBe(true);
  });

  async function portThatAnswers(client: UdpPeer, relay: number): Promise<number> {
    client.send(datagramTo("dns", 53, "x"), relay);
    return (await client.next()).datagram.readUInt16BE(8);
  }
});

describe("an association", () => {
  test("is granted at the address the client has reached us at", async () => {
    const { reply } = await associated();
    expect([...reply.subarray(0, 8)]).toEqual([5, 0, 0, 1, 127, 0, 0, 1]);
  });

  test("ends with its connection, whether that ends or breaks", async () => {
    for (const leave of [
      (control: RawClient) => control.socket.end(),
      (control: RawClient) => control.socket.resetAndDestroy(),
    ]) {
      const { control, end, relay } = await associated();
      leave(control);
      expect(await end()).toMatchObject({ kind: "ended" });
      const free = await opened(openUdpPeer());
      free.socket.close();
      closers.pop();
      await expect(boundAt(relay)).resolves.toBe(relay);
    }
  });

  test("ends with a connection whose end came before it was granted", async () => {
    const control = await connectRaw((server.address() as AddressInfo).port);
    control.socket.end();
    expect(await control.readToEnd()).toHaveLength(10);
    expect(await ends[0]).toMatchObject({ kind: "ended" });
  });

  test("ends its connection when no datagram went either way for too long", async () => {
    ports.idleMs = 40;
    const { control, end } = await associated();
    time += 40;
    expect(await end()).toMatchObject({ kind: "ended" });
    expect(await control.readToEnd()).toHaveLength(0);
    control.socket.end();
  });

  test("gives all its sockets back", async () => {
    let taken = 0;
    const { budget } = ports;
    ports.budget = {
      ...budget,
      upstream(client) {
        const giveBack = budget.upstream(client);
        taken++;
        return () => {
          taken--;
          giveBack?.();
        };
      },
    };
    const echo = await opened(openUdpEcho());
    const { client, relay, control, end } = await associated();
    client.send(datagramToIpv4("127.0.0.1", echo.port, "x"), relay);
    await client.next();
    expect(taken).toBe(1);
    control.socket.end();
    await end();
    expect(taken).toBe(0);
  });

  test("is refused to a client that has as many as it may", async () => {
    ports.budget = createUdpBudget({ ...standardUdpBounds, associationsPerClient: 1 });
    const { control, end } = await associated();
    const second = await connectRaw((server.address() as AddressInfo).port);
    expect([...(await second.readToEnd())].slice(0, 2)).toEqual([5, 1]);
    second.socket.end();
    control.socket.end();
    await end();
    await associated();
  });
});

async function resolve(destination: Destination, question: StubQuestion): Promise<Resolution> {
  questions.push({ destination, question });
  if (destination.kind === "address") return plainEndpoint([destination.address], destination.port, false);
  return answers.get(`${destination.name}:${destination.port}`) ?? { kind: "not-found", reason: "" };
}

function endpointAt(...endpointPorts: number[]): Resolution {
  const addresses = [addressOf("127.0.0.1")];
  const endpoints = endpointPorts.map((port) => ({ addresses, port, priority: 0, weight: 1 }));
  return { kind: "endpoints", endpoints, inZone: true };
}

async function opened(opening: Promise<UdpPeer>): Promise<UdpPeer> {
  const peer = await opening;
  closers.push(peer.close);
  return peer;
}

async function associated(host = "127.0.0.1") {
  if (host !== "127.0.0.1") {
    server.close();
    server.listen(0, host);
    await once(server, "listening");
  }
  const control = await connectRaw((server.address() as AddressInfo).port, host);
  const at = ends.length - 1;
  const reply = await control.read(host.includes(":") ? 22 : 10);
  closers.push(() => control.socket.destroy());
  const client = await opened(openUdpPeer(host));
  const end = () => ends[Math.max(at, 0)] ?? expect.fail("nothing was served");
  return { client, control, reply, relay: reply.readUInt16BE(reply.length - 2), end };
}

/** Datagrams on loopback keep their order: when this one has gone through, those before it were seen. */
async function passedThrough(client: UdpPeer, relay: number): Promise<void> {
  const echo = await openUdpEcho();
  client.send(datagramToIpv4("127.0.0.1", echo.port, "through"), relay);
  for (;;) if (`${(await client.next()).datagram.subarray(10)}` === "through") break;
  echo.close();
}

async function boundAt(port: number): Promise<number> {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4").bind(port, "127.0.0.1");
  await once(socket, "listening");
  const { port: bound } = socket.address();
  socket.close();
  return bound;
}
