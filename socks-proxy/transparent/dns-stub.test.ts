import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { until } from "../../test/testbed/wait.ts";
import { type DnsStub, type DnsStubPorts, openDnsStub } from "./dns-stub.ts";
import { askAllByTcp, exchange } from "./testing/ask.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** One that gives every message back. */
async function opened(given: Partial<DnsStubPorts> = {}): Promise<DnsStub> {
  const log = createLog("t", "error", () => {});
  const ports = { answerer: async (message: Uint8Array) => message, isLocal: () => true, log, ...given };
  const stub = await openDnsStub({ host: "127.0.0.1", port: 0 }, ports);
  ends.push(() => stub.close());
  return stub;
}

test("has an answer for programs of this machine alone", async () => {
  const asked: string[] = [];
  const { address, status } = await opened({
    isLocal(client) {
      asked.push(client);
      return false;
    },
  });
  const socket = createSocket("udp4");
  ends.push(() => socket.close());
  socket.send("x", address.port, address.host);
  const client = await connected(address);
  await until("both turned away", () => asked.length === 2 && client.closed);
  expect([asked, status().queries]).toEqual([["127.0.0.1", "127.0.0.1"], 0]);
});

test("has room for who asks by TCP while others hold all connections and ask nothing", async () => {
  const { address, status } = await opened();
  const idle = await Promise.all(Array.from({ length: 256 }, () => connected(address)));
  await until("all of them in", () => status().connections === 256);
  expect(await askAllByTcp(address, [Uint8Array.of(1, 2, 3)])).toEqual([Uint8Array.of(1, 2, 3)]);
  await until("one of them ended", () => idle.some((socket) => socket.closed));
  expect(await exchange(address, Uint8Array.of(4))).toEqual(Buffer.of(4));
});

async function connected({ host, port }: DnsStub["address"]): Promise<Socket> {
  const socket = connect({ host, port });
  socket.on("error", () => {});
  socket.resume();
  ends.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}
