import { afterEach, beforeEach, expect, test } from "vitest";

import type { Destination } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import { DeadEndpoints } from "../../client/connect/dead-endpoints.ts";
import { addressOf } from "../../client/testing/doh-server.ts";
import { until } from "../../test/testbed/wait.ts";
import { openUdpEcho, type UdpPeer } from "../testing/udp-client.ts";
import { createUdpBudget, standardUdpBounds } from "./udp-budget.ts";
import { type DestinationPorts, type DropReason, UdpDestination } from "./udp-destination.ts";

/** Nothing can be connected to there: it is for sockets that may broadcast. */
const unconnectable = { address: addressOf("255.255.255.255"), port: 9 };
const named: Destination = { kind: "name", name: "dns.berth.internal", port: 53 };

let ports: DestinationPorts;
let answer: Resolution;
let replies: string[];
let dropped: DropReason[];
let sockets: number;
let echo: UdpPeer;
let opened: UdpDestination[];

beforeEach(async () => {
  echo = await openUdpEcho();
  opened = [];
  replies = [];
  dropped = [];
  sockets = 0;
  const budget = createUdpBudget({ ...standardUdpBounds, waitingOctets: 6 });
  ports = {
    resolve: async () => answer,
    reply: (payload, { port }) => replies.push(`${port} ${payload}`),
    sent: () => {},
    dropped: (reason) => dropped.push(reason),
    budget: {
      ...budget,
      upstream(client) {
        sockets++;
        const giveBack = budget.upstream(client);
        return () => {
          sockets--;
          giveBack?.();
        };
      },
    },
    dead: new DeadEndpoints(),
    client: "127.0.0.1",
    now: () => 0,
    random: () => 0,
  };
});

afterEach(() => {
  for (const destination of opened) destination.close();
  echo.close();
});

test("an address that cannot be connected to loses its datagrams, their room and its socket are given back", async () => {
  answer = endpoints(unconnectable);
  const destination = open({ kind: "address", ...unconnectable });
  for (let count = 1; count <= 3; count++) {
    destination.send(Buffer.from("second"));
    await until("it was dropped", () => dropped.length === count);
    expect([dropped.at(-1), sockets]).toEqual(["not-sent", 0]);
  }
});

test("a name none of whose places can be connected to loses them as well", async () => {
  answer = endpoints(unconnectable, { ...unconnectable, port: 10 });
  open().send(Buffer.from("lost"));
  await until("it was dropped", () => dropped.length === 1);
  expect([dropped, sockets]).toEqual([["not-sent"], 0]);
});

test("a place that cannot be connected to is passed over, and not tried first by the next destination", async () => {
  answer = endpoints(unconnectable, { address: addressOf("127.0.0.1"), port: echo.port });
  open().send(Buffer.from("one"));
  await until("an answer", () => replies.length === 1);
  open().send(Buffer.from("two"));
  await until("an answer", () => replies.length === 2);
  expect([replies, dropped]).toEqual([[`${echo.port} one`, `${echo.port} two`], []]);
});

test("without a socket to be had the datagram is dropped", async () => {
  ports.budget = createUdpBudget({ ...standardUdpBounds, upstreams: 0 });
  answer = endpoints({ address: addressOf("127.0.0.1"), port: echo.port });
  open().send(Buffer.from("x"));
  await until("it was dropped", () => dropped.length === 1);
  expect(dropped).toEqual(["too-many"]);
});

function open(destination: Destination = named): UdpDestination {
  const made = new UdpDestination(destination, ports);
  opened.push(made);
  return made;
}

function endpoints(...places: (typeof unconnectable)[]): Resolution {
  const found = places.map(({ address, port }) => ({ addresses: [address], port, priority: 0, weight: 1 }));
  return { kind: "endpoints", endpoints: found, inZone: true };
}
