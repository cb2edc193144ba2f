import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { serviceRecords } from "../../client/testing/doh-server.ts";
import { type ProxyBed, startBed } from "../../socks-proxy/testing/proxy.ts";
import { connectRaw, greeting, requestName } from "../../socks-proxy/testing/raw-client.ts";
import { datagramTo, openUdpEcho, openUdpPeer } from "../../socks-proxy/testing/udp-client.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { type Case, caseOf, chunksOf, describeCase } from "./cases.ts";
import { datagrams, exchanges, serviceName, servicePort } from "./exchanges.ts";
import { httpRequests } from "./http-exchanges.ts";
import {
  assertNoGrowth,
  descriptorsBackTo,
  heapAfterCollection,
  liveObjects,
  liveObjectsBackTo,
  settledDescriptors,
} from "./leftovers.ts";
import { writeUsersFile } from "./users-file.ts";

/** Connections at a time. */
const atOnce = 64;
/** A case that is not over by then never will be. */
const caseLimitMs = 10_000;
const rounds = 5;

export interface SocketsResult {
  cases: number;
  /** MiB after a collection of garbage at the end of each round. */
  heapMiB: number[];
  descriptors: { before: number; after: number };
}

/**
 * Puts `count` cases to running proxies of this process, one that lets everybody in and one that asks for passwords. Throws when one
 * hangs, when a proxy does not serve as before afterwards, or when sockets or memory are not given back.
 */
export async function fuzzSockets(seed: number, count: number): Promise<SocketsResult> {
  const dir = makeTemporaryDir("berth-fuzz-");
  const before = await settledDescriptors();
  const echo = await openUdpEcho();
  const beds = [
    await startFuzzBed(echo.port),
    await startFuzzBed(echo.port, writeUsersFile(dir.path)),
  ] as const;
  const heapMiB: number[] = [];
  try {
    const idle = await settledDescriptors();
    const liveBefore = liveObjects();
    for (let round = 0; round < rounds; round++) {
      const [from, to] = [round, round + 1].map((edge) => Math.floor((count * edge) / rounds)) as [
        number,
        number,
      ];
      await tryCases(seed, from, to, beds);
      await tryDatagrams(seed, from, to, beds[0]);
      await assertServing(beds[0]);
      await descriptorsBackTo(idle);
      assertNoOwnFault(beds);
      heapMiB.push(heapAfterCollection());
    }
    await liveObjectsBackTo(liveBefore);
  } finally {
    // A connection that hangs would hold the close up, and with it the fault that says so.
    await Promise.race([
      Promise.all(beds.map((bed) => bed.close())),
      sleep(caseLimitMs, undefined, { ref: false }),
    ]);
    echo.close();
    dir.remove();
  }
  assertNoGrowth(heapMiB, count);
  return { cases: count, heapMiB, descriptors: { before, after: await descriptorsBackTo(before) } };
}

/** Nothing but the zone is allowed, so that no mutated address or name leads anywhere else. */
async function startFuzzBed(udpPort: number, usersFile?: string): Promise<ProxyBed> {
  const bed = await startBed([], {
    outside: "deny",
    restartPatience: 0,
    handshakeTimeout: 0.5,
    idleTimeout: 0.5,
    ...(usersFile === undefined ? {} : { usersFile }),
  });
  const port = await bed.upstream((socket) => socket.pipe(socket));
  bed.resolver.records = [
    ...serviceRecords(serviceName, servicePort, [{ address: "127.0.0.1", port }]),
    ...serviceRecords(serviceName, servicePort, [{ address: "127.0.0.1", port: udpPort }], "udp"),
  ];
  return bed;
}

async function tryCases(seed: number, from: number, to: number, beds: readonly ProxyBed[]): Promise<void> {
  let next = from;
  async function oneAfterAnother(): Promise<void> {
    while (next < to) {
      const tried = caseOf(seed, next, next++ % 3 === 0 ? httpRequests : exchanges);
      await tryCase(tried, beds[tried.index % beds.length]?.port ?? 0);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, oneAfterAnother));
}

async function tryCase(tried: Case, port: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  const closed = new Promise<true>((resolve) => socket.once("close", () => resolve(true)));
  socket.on("error", () => {}).on("end", () => socket.end());
  socket.resume();
  for (const chunk of chunksOf(tried)) {
    if (socket.destroyed) break;
    socket.write(chunk);
    // So that each is a segment of its own, and now and then one that the other side sees alone.
    await (chunk.length % 7 === 0 ? sleep(1) : new Promise(setImmediate));
  }
  if (tried.ending === "half-close") socket.end();
  if (tried.ending === "reset") socket.resetAndDestroy();
  const limit = new AbortController();
  const late = sleep(caseLimitMs, false as const, { signal: limit.signal });
  const isOver = await Promise.race([closed, late]);
  limit.abort();
  late.catch(() => {});
  if (!isOver) throw new Error(`a connection stays open: ${describeCase(tried)}`);
}

/** To one association; whether it lives is asked with a good datagram after them. */
async function tryDatagrams(seed: number, from: number, to: number, bed: ProxyBed): Promise<void> {
  const control = await connectRaw(bed.port);
  control.send(greeting, Uint8Array.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
  const reply = (await control.read(12)).subarray(2);
  const peer = await openUdpPeer();
  for (let index = from; index < to; index++) {
    peer.send(caseOf(seed, index, datagrams).bytes.subarray(0, 65_507), reply.readUInt16BE(8));
    if (index % 16 === 0) await new Promise(setImmediate);
  }
  const isAlive = new Promise<true>((resolve) => {
    peer.socket.on(
      "message",
      (datagram) => datagram.subarray(10).equals(Buffer.from("alive")) && resolve(true),
    );
  });
  for (let tries = 0; ; tries++) {
    if (tries === 100) throw new Error(`an association is dead after cases ${from} to ${to} of seed ${seed}`);
    peer.send(datagramTo(serviceName, servicePort, "alive"), reply.readUInt16BE(8));
    if (await Promise.race([isAlive, sleep(100)])) break;
  }
  peer.close();
  control.socket.end();
  await control.readToEnd();
}

async function assertServing(bed: ProxyBed): Promise<void> {
  const client = await requestName(bed.port, serviceName, servicePort);
  const reply = await client.read(10);
  client.socket.end("served");
  const came = await client.readToEnd();
  if (reply[1] !== 0 || `${came}` !== "served")
    throw new Error(`the proxy no longer serves: ${reply[1]}, ${came}`);
}

function assertNoOwnFault(beds: readonly ProxyBed[]): void {
  const own = beds.flatMap(({ lines }) => lines.filter((line) => line.startsWith("error")));
  if (own.length > 0) throw new Error(own[0]);
  // They would be taken for a leak of the proxy's.
  for (const { lines, resolver } of beds) [lines.length, resolver.queries.length] = [0, 0];
}
