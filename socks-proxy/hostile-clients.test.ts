import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { serviceRecords } from "../client/testing/doh-server.ts";
import { seededRandom } from "../client/testing/random.ts";
import { startSilentEndpoint } from "../client/testing/silent-endpoint.ts";
import { type ProxyBed, startBed } from "./testing/proxy.ts";
import { connectRaw, greeting, nameRequest, requestName } from "./testing/raw-client.ts";

/** Whatever a client does, it ends, it says so in one line at most, and the next client is served. */

let bed: ProxyBed;
/** Milliseconds, as the log's limits read them. */
let now = 0;

beforeEach(() => open());

async function open(config: Parameters<typeof startBed>[1] = {}): Promise<void> {
  bed = await startBed([], config, { now: () => now });
  const port = await bed.upstream((socket) => socket.pipe(socket));
  bed.resolver.records = serviceRecords("web.berth.internal", 80, [{ address: "127.0.0.1", port }]);
}

/** The same with another configuration. */
async function reopen(config: Parameters<typeof startBed>[1]): Promise<void> {
  await bed.close();
  await open(config);
}

afterEach(async () => {
  await expectServing();
  await bed.close();
  expect(bed.lines.filter((line) => line.startsWith("error"))).toEqual([]);
});

describe("the hand-shake has one time limit as a whole", () => {
  beforeEach(() => reopen({ handshakeTimeout: 0.4 }));

  test("nothing at all, and a greeting without a request", async () => {
    const clients = [await connectRaw(bed.port), await connectRaw(bed.port)];
    clients[0]?.send(greeting);
    await Promise.all(clients.map((client) => client.readToEnd()));
    expect(bed.lines.filter((line) => line.includes("hand-shake took too long"))).toHaveLength(1);
    for (const client of clients) client.socket.destroy();
  });

  test("an octet now and then does not prolong it", async () => {
    const client = await connectRaw(bed.port);
    const request = [...greeting, ...nameRequest("web.berth.internal", 80)];
    let sent = 0;
    const timer = setInterval(() => client.send(request[sent++] ?? 0), 80);
    await client.readToEnd();
    clearInterval(timer);
    expect(sent).toBeLessThan(request.length);
    client.socket.destroy();
  });

  test("it does not run on afterwards", async () => {
    const client = await requestName(bed.port, "web.berth.internal", 80);
    await client.read(10);
    await sleep(500);
    client.send(Buffer.from("still here"));
    expect(`${await client.read(10)}`).toBe("still here");
    client.socket.destroy();
  });
});

describe("a client that resets its connection", () => {
  test.each([
    ["at once", []],
    ["within the greeting", [5]],
    ["after the greeting", [...greeting]],
    ["within the request", [...greeting, 5, 1, 0]],
  ])("%s", async (_desc, octets) => {
    const client = await connectRaw(bed.port);
    client.send(...octets);
    if (octets.length >= 3) await client.read(2);
    client.socket.resetAndDestroy();
    await lineWith("left before its request");
  });

  test("while its name is resolved: the query is given up", async () => {
    bed.resolver.faults.set("_80._tcp.slow.berth.internal", "silence");
    const client = await requestName(bed.port, "slow.berth.internal", 80);
    while (bed.resolver.queries.length === 0) await sleep(10);
    client.socket.resetAndDestroy();
    await lineWith("slow.berth.internal:80: the client left before a reply");
  });

  test("while its endpoint is connected to: the attempt is given up", async () => {
    const silent = await startSilentEndpoint();
    const client = await requestName(bed.port, "127.0.0.1", silent.port);
    await sleep(50);
    client.socket.resetAndDestroy();
    await lineWith(`127.0.0.1:${silent.port}: the client left before a reply`);
    await silent.close();
  });

  test("while it is refused", async () => {
    const client = await connectRaw(bed.port);
    client.send(greeting, nameRequest("nobody.berth.internal", 80));
    client.socket.resetAndDestroy();
    await lineWith("nobody");
  });

  test("while it is served", async () => {
    const client = await requestName(bed.port, "web.berth.internal", 80);
    await client.read(10);
    client.send(Buffer.alloc(1 << 20));
    client.socket.resetAndDestroy();
    await lineWith("cut");
  });
});

test("a client that ends its direction in the hand-shake is ended", async () => {
  const client = await connectRaw(bed.port);
  client.socket.end(greeting);
  expect([...(await client.readToEnd())]).toEqual([5, 0]);
});

test("other protocols are named to the user", async () => {
  for (const [first, named] of [
    ["\u0016\u0003\u0001", "TLS"],
    ["\u0000", "first octet is 0"],
  ] as const) {
    now += 1_000;
    const client = await connectRaw(bed.port);
    client.send(Buffer.from(first, "latin1"));
    expect(await client.readToEnd()).toHaveLength(0);
    expect(bed.lines.at(-1)).toContain(named);
    client.socket.destroy();
  }
});

test("a client that comes again and again gets one line a second, and then their number", async () => {
  const speakTls = async () => {
    const client = await connectRaw(bed.port);
    client.send(0x16, 3, 1);
    await client.readToEnd();
    client.socket.destroy();
  };
  now += 1_000;
  for (let i = 0; i < 5; i++) await speakTls();
  now += 1_000;
  await speakTls();
  const lines = bed.lines.filter((line) => line.includes("turned away"));
  expect(lines).toEqual([
    expect.stringMatching(/spoken to in the clear$/),
    expect.stringMatching(/in the clear \(4 others before it are not shown\)$/),
  ]);
});

test("a flood after a refused request is dropped, not kept, and the connection still ends", async () => {
  const client = await connectRaw(bed.port);
  client.send(greeting, nameRequest("nobody.berth.internal", 80));
  const chunk = Buffer.alloc(1 << 16);
  const flood = setInterval(() => client.send(chunk), 5);
  expect((await client.readToEnd())[3]).toBe(4);
  // It never ends its own direction; the proxy does that for it.
  while (!client.socket.closed) await sleep(50);
  clearInterval(flood);
});

test("clients that open more connections than there may be lose the newest ones at once, in one line, and no other", async () => {
  // The limit for each client is not for this machine's programs, which are all at one address.
  await reopen({ connections: 3, connectionsPerClient: 1 });
  const held = [];
  for (let opened = 0; opened < 3; opened++) {
    const client = await requestName(bed.port, "web.berth.internal", 80);
    await client.read(10);
    held.push(client);
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    const client = await connectRaw(bed.port);
    expect(await client.readToEnd()).toHaveLength(0);
  }
  held[0]?.send(Buffer.from("still here"));
  expect(`${await held[0]?.read(10)}`).toBe("still here");
  expect(bed.lines.filter((line) => line.includes("too many"))).toEqual([
    expect.stringContaining("too many connections already"),
  ]);
  for (const client of held) client.socket.end();
  for (const client of held) await client.readToEnd();
});

test("200 clients of garbage at once", async () => {
  // Some of the garbage is a request, for an address that is none of ours to dial.
  await reopen({ handshakeTimeout: 1, outside: "deny" });
  const random = seededRandom(200);
  const clients = Array.from({ length: 200 }, (_, i) => garbageClient(random, i % 4));
  await Promise.all(clients);
  const listening = bed.lines.filter((line) => line.includes("SOCKS5 at"));
  expect(bed.lines.length - listening.length).toBeLessThanOrEqual(200);
});

/** Some begin as they should; some reset, some end, some just wait for the proxy to end them. */
async function garbageClient(random: () => number, manner: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port: bed.port, allowHalfOpen: true }).on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const garbage = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 600) }, () => random() * 256));
  if (manner >= 1) garbage.set(greeting.subarray(0, garbage.length));
  if (manner >= 2 && garbage.length > 8) garbage.set([5, 1, 0, Math.floor(random() * 6)], 3);
  socket.resume().on("end", () => socket.end());
  socket.write(garbage, () => {
    if (manner === 3) socket.resetAndDestroy();
    else if (random() < 0.5) socket.end();
  });
  await closed;
}

async function expectServing(): Promise<void> {
  const client = await requestName(bed.port, "web.berth.internal", 80);
  await client.read(10);
  client.socket.end("served");
  expect(`${await client.readToEnd()}`).toBe("served");
}

/** Ends with the test's own time limit when the line never comes. */
async function lineWith(text: string): Promise<void> {
  while (!bed.lines.some((line) => line.includes(text))) await sleep(10);
}
