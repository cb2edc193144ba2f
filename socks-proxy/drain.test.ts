import type { Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";

import { serviceRecords } from "../client/testing/doh-server.ts";
import { type Drainable, drain } from "./drain.ts";
import { Command } from "./socks/wire.ts";
import { startBed } from "./testing/proxy.ts";
import { connectRaw, greeting, nameRequest, requestName } from "./testing/raw-client.ts";
import { datagramToIpv4, openUdpEcho, openUdpPeer } from "./testing/udp-client.ts";

class Connection implements Drainable {
  isWaiting = false;
  bytes = 0;
  readonly ends: string[] = [];
  readonly #open: Set<Drainable>;

  constructor(open: Set<Drainable>) {
    this.#open = open;
    open.add(this);
  }

  bytesMoved(): number {
    return this.bytes;
  }

  end(): void {
    this.ends.push("end");
    this.#open.delete(this);
  }

  destroy(): void {
    this.ends.push("destroy");
    this.#open.delete(this);
  }
}

test("a quiet connection is ended, a busy one when it has become quiet", async () => {
  const open = new Set<Drainable>();
  const [quiet, busy] = [new Connection(open), new Connection(open)];
  const timer = setInterval(() => busy.bytes++, 20);
  const quietEnded = Promise.withResolvers<string[]>();
  quiet.end = () => {
    open.delete(quiet);
    clearInterval(timer);
    quietEnded.resolve(busy.ends.slice());
  };
  await drain(open, 60_000);
  expect(await quietEnded.promise).toEqual([]);
  expect(busy.ends).toEqual(["end"]);
});

test("one that could not end yet when it was told to is told again after another quiet second", async () => {
  const open = new Set<Drainable>();
  const owing = new Connection(open);
  let asked = 0;
  owing.end = () => {
    if (++asked === 2) open.delete(owing);
  };
  await drain(open, 60_000);
  expect([asked, owing.ends]).toEqual([2, []]);
});

test("when the time is over all are destroyed, those that wait for an endpoint included", async () => {
  const open = new Set<Drainable>();
  const [waiting, busy] = [new Connection(open), new Connection(open)];
  waiting.isWaiting = true;
  const timer = setInterval(() => busy.bytes++, 20);
  await drain(open, 1_500);
  clearInterval(timer);
  expect([waiting.ends, busy.ends]).toEqual([["destroy"], ["destroy"]]);
});

test("no time at all destroys at once", async () => {
  const open = new Set<Drainable>();
  const connection = new Connection(open);
  await drain(open, 0);
  expect(connection.ends).toEqual(["destroy"]);
});

test("a proxy that is told to end ends quiet connections on both sides without a reset, and lets a busy one finish", async () => {
  const bed = await startBed([], { drainTimeout: 60 });
  onTestFinished(() => bed.close());
  const seen: string[] = [];
  const upstreams: Socket[] = [];
  const port = await bed.upstream((socket) => {
    upstreams.push(socket);
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => seen.push("the upstream sees an end")).on("error", () => seen.push("a reset"));
  });
  const [quiet, busy] = [
    await requestName(bed.port, "127.0.0.1", port),
    await requestName(bed.port, "127.0.0.1", port),
  ];
  for (const client of [quiet, busy]) {
    await client.read(10);
    client.socket.on("error", () => seen.push("a reset"));
  }
  let sent = 0;
  const isQuietOver = Promise.withResolvers<void>();
  quiet.socket.once("close", () => isQuietOver.resolve());
  const timer = setInterval(() => busy.send(sent++ % 256), 50);
  const closed = bed.proxy.close();
  quiet.socket.once("end", () => quiet.socket.end());
  await quiet.readToEnd();
  expect(busy.socket.destroyed).toBe(false);
  clearInterval(timer);
  const echoed = await busy.readToEnd();
  expect(echoed).toHaveLength(sent);
  busy.socket.end();
  await closed;
  expect(seen).not.toContain("a reset");
  expect(bed.lines.filter((line) => line.endsWith("drained"))).toHaveLength(2);
}, 30_000);

test("a UDP association whose datagrams flow is busy; one without is ended", async () => {
  const bed = await startBed([], { drainTimeout: 1.5 });
  const [echo, client] = [await openUdpEcho(), await openUdpPeer()];
  onTestFinished(async () => {
    await bed.close();
    echo.close();
    client.close();
  });
  const [quiet, busy] = [await associated(bed.port), await associated(bed.port)];
  const hello = datagramToIpv4("127.0.0.1", echo.port, "hello");
  const timer = setInterval(() => client.send(hello, busy.relay), 50);
  onTestFinished(() => clearInterval(timer));
  const closed = bed.proxy.close();
  const busyEnded = Promise.withResolvers<void>();
  busy.control.socket.once("close", () => busyEnded.resolve());
  const first = await Promise.race([
    quiet.control.readToEnd().then(() => "quiet"),
    busyEnded.promise.then(() => "busy"),
  ]);
  expect(first).toBe("quiet");
  quiet.control.socket.end();
  while (client.unread() > 0) await client.next();
  expect((await client.next()).datagram).toEqual(hello);
  await closed;
});

async function associated(port: number) {
  const control = await connectRaw(port);
  control.send(greeting, nameRequest("0.0.0.0", 0, Command.UdpAssociate));
  const reply = await control.read(12);
  return { control, relay: reply.readUInt16BE(10) };
}

test("what is busy to the last is reset: a part must not pass for the whole", async () => {
  const bed = await startBed([], { drainTimeout: 0.2 });
  onTestFinished(() => bed.close());
  const port = await bed.upstream((socket) => {
    const timer = setInterval(() => socket.write("."), 20);
    socket.on("close", () => clearInterval(timer));
  });
  bed.resolver.records = serviceRecords("web.berth.internal", 80, [{ address: "127.0.0.1", port }]);
  const client = await requestName(bed.port, "web.berth.internal", 80);
  const fault = Promise.withResolvers<NodeJS.ErrnoException>();
  client.socket.on("error", fault.resolve);
  await client.read(11);
  await bed.proxy.close();
  expect((await fault.promise).code).toBe("ECONNRESET");
});
