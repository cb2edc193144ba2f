import { createHash, hash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { serviceRecords } from "../../client/testing/doh-server.ts";
import { seededRandom } from "../../client/testing/random.ts";
import type { Address } from "../../shared/address.ts";
import { keepEarlyBytes } from "../socks/early-bytes.ts";
import { type ProxyBed, startBed } from "../testing/proxy.ts";
import { greeting, nameRequest, requestName } from "../testing/raw-client.ts";
import { acceptChannel, type Channel, dialChannel, unsentBytes } from "./channel.ts";
import { relay } from "./relay.ts";

const connections = 8;
const mebibytesEachWay = 24;
let bed: ProxyBed;

beforeEach(async () => {
  bed = await startBed();
});

afterEach(() => bed.close());

test("eight connections at once, 24 MiB each way, slow readers: every byte arrives, in order", async () => {
  const [down, up] = [randomBytes(mebibytesEachWay << 20), randomBytes(mebibytesEachWay << 20)];
  const cut = seededRandom(24);
  const upstreamSums: Promise<string>[] = [];
  await serve((socket) => {
    Readable.from(randomChunks(down, cut)).pipe(socket);
    upstreamSums.push(sumOf(socket));
  });
  const clientSums = Array.from({ length: connections }, async () => {
    const socket = connect({ host: "127.0.0.1", port: bed.port, allowHalfOpen: true });
    // Method selection and reply are not the upstream's.
    const sum = sumOf(socket, 2 + 10);
    socket.write(greeting);
    socket.write(nameRequest("web.berth.internal", 80));
    // Each ends its direction when it has sent all, while the other one still goes on.
    Readable.from(randomChunks(up, cut)).pipe(socket);
    return sum;
  });
  expect(new Set(await Promise.all(clientSums))).toEqual(new Set([hash("sha256", down)]));
  expect(new Set(await Promise.all(upstreamSums))).toEqual(new Set([hash("sha256", up)]));
  expect(upstreamSums).toHaveLength(connections);
}, 60_000);

test("a reader that stops holds its sender back instead of filling the proxy's memory", async () => {
  let written = 0;
  await serve((socket) => {
    socket.on("error", () => {});
    const chunk = Buffer.alloc(1 << 20);
    const write = () => {
      // 256 MiB would be far more than all buffers on the way hold.
      while (written < 256 && !socket.destroyed) {
        written++;
        if (!socket.write(chunk)) return void socket.once("drain", write);
      }
    };
    write();
  });
  const client = await requestName(bed.port, "web.berth.internal", 80);
  await client.read(10);
  client.socket.pause();
  let before = -1;
  while (written !== before) {
    before = written;
    await sleep(150);
  }
  expect(written).toBeLessThan(256);
  client.socket.resetAndDestroy();
});

test("a reset by the upstream reaches the client as one: a part must not pass for the whole", async () => {
  await serve(
    (socket) => void socket.write("half of it", () => setTimeout(() => socket.resetAndDestroy(), 50)),
  );
  const client = await requestName(bed.port, "web.berth.internal", 80);
  const fault = Promise.withResolvers<NodeJS.ErrnoException>();
  client.socket.on("error", fault.resolve);
  await client.read(20);
  expect((await fault.promise).code).toBe("ECONNRESET");
});

test("a reset by the client reaches the upstream as one", async () => {
  const fault = Promise.withResolvers<NodeJS.ErrnoException>();
  await serve((socket) => void socket.resume().on("error", fault.resolve));
  const client = await requestName(bed.port, "web.berth.internal", 80);
  await client.read(10);
  client.socket.resetAndDestroy();
  expect((await fault.promise).code).toBe("ECONNRESET");
});

test("a connection without a byte either way ends; bytes in one direction alone keep it", async () => {
  await bed.close();
  bed = await startBed([], { idleTimeout: 0.25 });
  let ticks = 0;
  await serve((socket) => {
    const timer = setInterval(() => (++ticks < 8 ? socket.write(".") : clearInterval(timer)), 80);
    socket.on("close", () => clearInterval(timer)).on("end", () => socket.end());
  });
  const client = await requestName(bed.port, "web.berth.internal", 80);
  await client.read(10);
  // The client never says a word: 7 ticks of 80 ms are more than twice the limit.
  expect(`${await client.readToEnd()}`).toBe(".......");
  client.socket.end();
  await bed.proxy.close();
  expect(bed.lines.at(-1)).toContain("7 down, idle");
});

test("what is idle in the middle of something is reset: a part must not pass for the whole", async () => {
  await bed.close();
  bed = await startBed([], { idleTimeout: 0.25 });
  const atUpstream = Promise.withResolvers<NodeJS.ErrnoException>();
  await serve((socket) => void socket.on("error", atUpstream.resolve).resume().write("half of it"));
  const client = await requestName(bed.port, "web.berth.internal", 80);
  const atClient = Promise.withResolvers<NodeJS.ErrnoException>();
  client.socket.on("error", atClient.resolve);
  await client.read(20);
  expect([(await atClient.promise).code, (await atUpstream.promise).code]).toEqual([
    "ECONNRESET",
    "ECONNRESET",
  ]);
});

test("a client that does not read is idle, however much waits for it", async () => {
  await bed.close();
  bed = await startBed([], { idleTimeout: 0.3 });
  await serve((socket) => void socket.end(Buffer.alloc(32 << 20)));
  const client = await requestName(bed.port, "web.berth.internal", 80);
  await client.read(10);
  client.socket.end();
  client.socket.pause();
  while (!bed.lines.some((line) => line.endsWith("idle"))) await sleep(50);
  client.socket.destroy();
});

test("without an idle limit a silent connection stays, and what a burst needed of memory is given back", async () => {
  const shrunk = Promise.withResolvers<void>();
  const { client, upstream, peer } = await channels();
  const shrink = client.shrink.bind(client);
  client.shrink = () => {
    shrink();
    shrunk.resolve();
  };
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const { ended } = relay(client, upstream, { idleMs: Number.POSITIVE_INFINITY });
  vi.advanceTimersByTime(24 * 3_600_000);
  await shrunk.promise;
  expect([client.socket.destroyed, upstream.socket.destroyed]).toEqual([false, false]);
  peer.resetAndDestroy();
  expect(await ended).toBe("cut");
});

test("is not drained while a slow reader is owed bytes: a part must not pass for the whole", async () => {
  const { client, upstream, peer, server } = await channels();
  const running = relay(client, upstream, { idleMs: 60_000 });
  peer.pause();
  const whole = Buffer.alloc(32 << 20);
  server.write(whole);
  while (unsentBytes(client.socket) === 0) await sleep(5);
  running.drain();
  let received = 0;
  for await (const chunk of peer) {
    received += chunk.length;
    if (received === whole.length) running.drain();
  }
  expect(received).toBe(whole.length);
  expect(await running.ended).toBe("drained");
});

test("what comes while the first bytes still wait for the upstream goes behind them", async () => {
  const { client, upstream, peer, server } = await channels();
  keepEarlyBytes(client, new Uint8Array(0));
  // More than the buffers of the system take from a server that does not read yet.
  const early = Buffer.alloc(32 << 20);
  const { ended } = relay(client, upstream, { idleMs: 60_000, early });
  peer.end("behind");
  while (client.socket.bytesRead < "behind".length) await sleep(5);
  const received = Buffer.concat(await server.end().toArray());
  expect([received.length - early.length, received.subarray(-6).toString()]).toEqual([6, "behind"]);
  peer.resume();
  expect(await ended).toBe("ended");
});

/** What a relay has to join, with the sockets at both far ends, of which nothing is read yet. */
async function channels(): Promise<{ client: Channel; upstream: Channel; peer: Socket; server: Socket }> {
  const accepted = Promise.withResolvers<Channel>();
  const clientPort = await bed.upstream((socket) => accepted.resolve(acceptChannel(socket.pause())));
  const arrived = Promise.withResolvers<Socket>();
  const upstreamPort = await bed.upstream((socket) => arrived.resolve(socket.pause()));
  const peer = connect({ host: "127.0.0.1", port: clientPort });
  const client = await accepted.promise;
  const upstream = dialChannel({ address: "127.0.0.1" as Address, port: upstreamPort });
  return { client, upstream, peer, server: await arrived.promise };
}

async function serve(connection: (socket: Socket) => void): Promise<void> {
  const port = await bed.upstream(connection);
  bed.resolver.records = serviceRecords("web.berth.internal", 80, [{ address: "127.0.0.1", port }]);
}

/** Random bytes in chunks of random length, each time the same bytes cut in another way. */
function* randomChunks(bytes: Buffer, cut: () => number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(cut() * 60_000);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** SHA-256 of all that a socket brings after `skipped` octets, to a reader that rests after each read. */
async function sumOf(socket: Socket, skipped = 0): Promise<string> {
  const sum = createHash("sha256");
  let left = skipped;
  for await (const chunk of socket) {
    sum.update(chunk.subarray(left));
    left -= Math.min(left, chunk.length);
    await sleep(1);
  }
  return sum.digest("hex");
}
