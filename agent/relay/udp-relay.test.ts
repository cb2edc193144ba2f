import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { afterEach, beforeEach, expect, it } from "vitest";

import { freePort } from "../../shared/testing/free-port.ts";
import { settle } from "../testing/fake-clock.ts";
import { loopback, otherLoopback, RelayStand } from "../testing/relay-stand.ts";
import type { OpenRelay } from "./open-relay.ts";
import { openUdpRelay } from "./udp-relay.ts";

let stand: RelayStand;
let sockets: Socket[];
let relays: OpenRelay[];
let port: number;

beforeEach(async () => {
  stand = new RelayStand();
  sockets = [];
  relays = [];
  port = await freePort();
});

afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.close()));
  await Promise.all(sockets.map(closeOf));
});

it("carries datagrams both ways, each as it is, and answers from the address that was asked", async () => {
  await relayTo(await echo());
  const client = await bound();
  for (const host of [loopback, otherLoopback]) {
    for (const text of ["one", "", "x".repeat(9_000)]) {
      const [answer, from] = await ask(client, text, host);
      expect(answer).toBe(text);
      expect(from).toMatchObject({ address: host, port });
    }
  }
  expect(stand.counters).toMatchObject({
    datagramsIn: 6,
    datagramsOut: 6,
    bytesIn: 18_006,
    bytesOut: 18_006,
  });
});

it("gives every client a port of its own towards the container, and keeps it", async () => {
  const seen = new Set<number>();
  await relayTo(await echo((from) => seen.add(from.port)));
  const clients = [await bound(), await bound()];
  for (const client of [...clients, ...clients]) await ask(client, "hello");
  expect(seen.size).toBe(2);
});

it("lets nobody but the container answer", async () => {
  const upstream = Promise.withResolvers<RemoteInfo>();
  await relayTo(await echo(upstream.resolve));
  const client = await bound();
  await ask(client, "hello");
  const stranger = await bound();
  const { port: inner, address } = await upstream.promise;
  await new Promise((sent) => stranger.send("forged", inner, address, sent));
  expect((await ask(client, "again"))[0]).toBe("again");
});

it("ends a client's part after a minute without a datagram either way, not before", async () => {
  const seen: number[] = [];
  await relayTo(await echo((from) => void seen.push(from.port)));
  const client = await bound();
  await ask(client, "one");
  await stand.clock.advance(50_000);
  await ask(client, "two");
  await stand.clock.advance(59_000);
  await ask(client, "three");
  expect(new Set(seen).size).toBe(1);
  await stand.clock.advance(60_000);
  await ask(client, "four");
  expect(new Set(seen).size).toBe(2);
});

it("takes at most 512 clients; one that was quiet makes room, one that is served does not", async () => {
  const seen = new Set<number>();
  await relayTo(await echo((from) => seen.add(from.port)));
  const clients: Socket[] = [];
  for (let count = 0; count < 512; count++) {
    const client = await bound();
    clients.push(client);
    await ask(client, "hello");
  }
  const late = await bound();
  late.send("hello", port, loopback);
  await expect.poll(() => stand.counters.datagramsDropped).toBe(1);
  const [served, quiet] = clients as [Socket, Socket];
  await stand.clock.advance(4_000);
  for (const client of clients) if (client !== quiet) await ask(client, "still there");
  await stand.clock.advance(1_000);
  await ask(late, "hello");
  expect(seen.size).toBe(513);
  await ask(served, "hello");
  expect(seen.size).toBe(513);
  quiet.send("hello", port, loopback);
  await expect.poll(() => stand.counters.datagramsDropped).toBe(2);
  expect(stand.log.matching(/^warn the relay at .* has the 512 clients/)).toHaveLength(1);
}, 30_000);

it("serves again after the container refused a datagram", async () => {
  const serverPort = await freePort();
  await relayTo(serverPort);
  const client = await bound();
  client.send("lost", port, loopback);
  await expect.poll(() => stand.counters.datagramsIn).toBe(1);
  await settle();
  await echo(undefined, serverPort);
  // The first one may only bring the refusal of the one before.
  client.send("lost as well", port, loopback);
  expect((await ask(client, "found"))[0]).toMatch(/found|lost as well/);
});

it("leads datagrams to another target from then on", async () => {
  const relay = await relayTo(await echo());
  const client = await bound();
  await ask(client, "hello");
  const other = await echo(undefined, 0, "other: ");
  relay.retarget({ address: loopback, port: other });
  expect((await ask(client, "hello"))[0]).toBe("other: hello");
});

it("opens at all addresses or at none, and frees its port at its close", async () => {
  const blocker = await bound(port, otherLoopback);
  await expect(relayTo(1)).rejects.toMatchObject({ code: "EADDRINUSE" });
  await bound(port, loopback).then(() => closeOf(sockets.pop()));
  await closeOf(blocker);
  sockets = sockets.filter((socket) => socket !== blocker);
  const relay = await relayTo(await echo());
  await ask(await bound(), "hello");
  await relay.close();
  relays = [];
  await bound(port, loopback);
});

async function relayTo(targetPort: number): Promise<OpenRelay> {
  const relay = await openUdpRelay(stand.options(port, targetPort, [loopback, otherLoopback]));
  relays.push(relay);
  return relay;
}

/** The port of a server that sends back what it gets. */
async function echo(seen?: (from: RemoteInfo) => void, at = 0, before = ""): Promise<number> {
  const server = await bound(at);
  server.on("message", (datagram, from) => {
    seen?.(from);
    server.send(before + datagram.toString(), from.port, from.address);
  });
  return server.address().port;
}

async function bound(at = 0, address: string = loopback): Promise<Socket> {
  const socket = createSocket("udp4");
  sockets.push(socket);
  await new Promise<void>((ready) => socket.bind(at, address, ready));
  return socket;
}

function ask(client: Socket, text: string, host: string = loopback): Promise<[string, RemoteInfo]> {
  const answer = new Promise<[string, RemoteInfo]>((resolve) =>
    client.once("message", (datagram, from) => resolve([datagram.toString(), from])),
  );
  client.send(text, port, host);
  return answer;
}

function closeOf(socket: Socket | undefined): Promise<void> {
  return new Promise((closed) => (socket === undefined ? closed() : socket.close(closed)));
}
