import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { addressRdata } from "../../shared/dns/endpoints.ts";
import {
  decodeQuery,
  decodeResponse,
  encodeQuery,
  encodeResponse,
  type Response,
} from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { until } from "../../test/testbed/wait.ts";
import { ask, askAllByTcp, exchange, talk } from "./testing/ask.ts";
import { startForTest, type TestTransparent } from "./testing/start.ts";
import type { TransparentConfig } from "./transparent.ts";

const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const web = "web.shop.berth.internal";
const port = 18_080;

describe("a service name", () => {
  test("is answered with an address of its own, where its port is open and leads to the service", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: await echoServer("one") });
    const response = await ask(running.dns, web, RRType.A);
    expect(response.rcode).toBe(Rcode.NoError);
    const address = addressIn(response);
    expect(await talk(address, port, "hello")).toBe("one hello");
    expect(addressIn(await ask(running.dns, web, RRType.A))).toBe(address);
  });

  test("is found again by its address", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    const reverse = `${address.split(".").reverse().join(".")}.in-addr.arpa`;
    const { answer } = await ask(running.dns, reverse, RRType.PTR);
    expect(answer.map(({ rdata }) => rdata)).toEqual([{ type: RRType.PTR, target: parseName(web) }]);
  });

  test("asked for a hundred times at once is looked up and opened once", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const queries = Array.from({ length: 100 }, () => encodeQuery(parseName(web), RRType.A));
    const answers = await askAllByTcp(running.dns, queries);
    const addresses = answers.map((answer) => addressIn(decodeResponse(answer)));
    expect(addresses).toHaveLength(100);
    expect(new Set(addresses).size).toBe(1);
    // A connection takes 64 queries at a time: two looks, or three when the first came alone.
    expect(running.stub.portQuestions.length).toBeLessThan(5);
    expect(running.status()).toMatchObject({ names: 1, listeners: 1, problems: [] });
  });

  test("gives each of a thousand names asked for at once an address of its own, with its port open", async () => {
    const running = await start({ transparentRange: "127.110.0.0/16" });
    const to = await echoServer("many");
    const names = Array.from({ length: 1_000 }, (_, i) => `n${i}.shop.berth.internal`);
    for (const name of names) running.stub.set(name, { protocol: "tcp", port, to });
    const answers = await askAllByTcp(
      running.dns,
      names.map((name) => encodeQuery(parseName(name), RRType.A)),
    );
    const addresses = answers.map((answer) => addressIn(decodeResponse(answer)));
    expect(new Set(addresses).size).toBe(1_000);
    expect(running.status()).toMatchObject({ names: 1_000, listeners: 1_000 });
    const [first = "", last = ""] = [addresses[0], addresses[999]];
    expect([await talk(first, port, "a"), await talk(last, port, "b")]).toEqual(["many a", "many b"]);
  });

  test("that nothing is published under gets the true negative answer, with the zone's SOA", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const absent = await ask(running.dns, "nobody.berth.internal", RRType.A);
    expect([absent.rcode, absent.authority.map(({ rdata }) => rdata.type)]).toEqual([
      Rcode.NXDomain,
      [RRType.SOA],
    ]);
    const between = await ask(running.dns, "shop.berth.internal", RRType.A);
    expect([between.rcode, between.answer, between.authority.length]).toEqual([Rcode.NoError, [], 1]);
  });

  test("has no IPv6 address where none can be bound, which is NODATA and not NXDOMAIN", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const { rcode, answer, authority } = await ask(running.dns, web, RRType.AAAA);
    expect([rcode, answer, authority.length]).toEqual([Rcode.NoError, [], 1]);
  });
});

describe("the ports of a name", () => {
  test("do not disturb each other: one that is taken is a stated problem", async () => {
    const running = await start();
    const taken = await listenAt("0.0.0.0", 0);
    running.stub.set(
      web,
      { protocol: "tcp", port: taken, to: 9 },
      { protocol: "tcp", port, to: await echoServer("two") },
    );
    const address = addressIn(await ask(running.dns, web, RRType.A));
    expect(await talk(address, port, "x")).toBe("two x");
    const [problem] = running.status().problems;
    expect(problem?.what).toBe(`${web} tcp/${taken}`);
    expect(problem?.fault).toContain(`(process ${process.pid}) has tcp 0.0.0.0:${taken}`);
    expect(running.lines.some((line) => line.includes(`${web} tcp/${taken} cannot be served`))).toBe(true);
  });

  test("follow what the resolver says; a connection outlives its port's end", async () => {
    const running = await start();
    const to = await echoServer("three");
    running.stub.set(web, { protocol: "tcp", port, to });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    const kept = connect({ host: address, port });
    ends.push(() => void kept.destroy());
    await once(kept, "connect");
    kept.write("a");
    await once(kept, "data");
    running.stub.set(web, { protocol: "tcp", port: port + 1, to });
    running.stub.tell(web);
    await until("the new port", async () => (await talk(address, port + 1, "b")) === "three b");
    await expect(talk(address, port, "c")).rejects.toThrow("ECONNREFUSED");
    const answered = once(kept, "data");
    kept.write("d");
    expect(String(await answered)).toBe("three d");
  });

  test("close when the name has gone, after the patience; its address stays its own", async () => {
    const running = await start({ restartPatience: 1 });
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    running.stub.set(web);
    running.stub.tell(web);
    await until("no listener", () => running.status().listeners === 0);
    expect((await ask(running.dns, web, RRType.A)).rcode).toBe(Rcode.NXDomain);
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    expect(addressIn(await ask(running.dns, web, RRType.A))).toBe(address);
  });

  test("let a client in while the name is being restarted, and lead it to the new place", async () => {
    const running = await start({ restartPatience: 60 });
    running.stub.set(web, { protocol: "tcp", port, to: await closedPort() });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    running.stub.set(web);
    running.stub.tell(web);
    const answered = talk(address, port, "late");
    expect(addressIn(await ask(running.dns, web, RRType.A))).toBe(address);
    running.stub.set(web, { protocol: "tcp", port, to: await echoServer("again") });
    running.stub.tell(web);
    expect(await answered).toBe("again late");
  });

  test("are led to by UDP as well, and to the service's new place when it has moved", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "udp", port, to: await udpEcho("u1") });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    const client = createSocket("udp4");
    ends.push(() => void client.close());
    client.connect(port, address);
    await once(client, "connect");
    const heard: string[] = [];
    client.on("message", (message) => heard.push(String(message)));
    client.send("x");
    await until("an answer", () => heard.includes("u1 x"));
    expect(running.status().sessions).toBe(1);
    running.stub.set(web, { protocol: "udp", port, to: await udpEcho("u2") });
    await until("the new place", () => {
      client.send("y");
      return heard.includes("u2 y");
    });
    expect(running.status().sessions).toBe(1);
  });
});

test("a UDP client that is busy when the proxy ends has the drain time-out to finish", async () => {
  const running = await start({ drainTimeout: 30 });
  running.stub.set(web, { protocol: "udp", port, to: await udpEcho("drained") });
  const address = addressIn(await ask(running.dns, web, RRType.A));
  const client = createSocket("udp4");
  ends.push(() => void client.close());
  client.connect(port, address);
  await once(client, "connect");
  const exchanged = async (text: string) => {
    const answered = once(client, "message");
    client.send(text);
    expect(String((await answered)[0])).toBe(`drained ${text}`);
  };
  await exchanged("before");
  const closed = running.close();
  await until("its ports are closed", () => running.status().listeners === 0);
  await exchanged("while it ends");
  await closed;
  expect(running.status().sessions).toBe(0);
});

describe("a connection that leads nowhere", () => {
  test("is reset, so that it cannot pass for an empty answer", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const address = addressIn(await ask(running.dns, web, RRType.A));
    running.stub.set(web, { protocol: "tcp", port: port + 1, to: 9 });
    await expect(talk(address, port, "x")).rejects.toThrow("ECONNRESET");
  });
});

describe("DNS over UDP and TCP", () => {
  test("goes on after what is no DNS", async () => {
    const running = await start();
    running.stub.set(web, { protocol: "tcp", port, to: 9 });
    const garbled = Uint8Array.from([0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0, 200, 1]);
    expect([...(await exchange(running.dns, garbled)).subarray(0, 4)]).toEqual([0x12, 0x34, 0x81, 0x81]);
    expect((await ask(running.dns, web, RRType.A)).rcode).toBe(Rcode.NoError);
  });

  test("refuses an outside name that leads to an address of ours", async () => {
    const server = createSocket("udp4");
    server.on("message", (message, from) => {
      const answer = addressRdata("127.64.0.9" as Address);
      const records = [{ name: parseName("evil.example"), ttl: 60, rdata: answer }];
      const parts = { rcode: 0, authoritative: false, answer: records, authority: [], additional: [] };
      server.send(encodeResponse(decodeQuery(message), parts), from.port, from.address);
    });
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(() => void server.close());
    const upstreamDns = [{ host: "127.0.0.1", port: server.address().port }];
    const ours = await start({ upstreamDns, transparentRange: "127.64.0.0/10" });
    expect((await ask(ours.dns, "evil.example", RRType.A)).rcode).toBe(Rcode.Refused);
    expect(ours.lines.some((line) => line.includes("evil.example. was refused"))).toBe(true);
    const others = await start({ upstreamDns, transparentRange: "127.100.0.0/16" });
    expect(addressIn(await ask(others.dns, "evil.example", RRType.A))).toBe("127.64.0.9");
  });

  test("answers SERVFAIL while the resolver cannot be reached", async () => {
    const running = await start();
    running.stub.isUnreachable = true;
    expect((await ask(running.dns, web, RRType.A)).rcode).toBe(Rcode.ServFail);
  });

  test("says whose port it is when it cannot listen, and which flag chooses another", async () => {
    const first = await start();
    await expect(start({ dnsListen: first.dns })).rejects.toMatchObject({
      code: "port-in-use",
      message: expect.stringMatching(
        new RegExp(
          `\\(process ${process.pid}\\) has .*; end it; or choose another address with --dns-listen$`,
        ),
      ),
    });
  });
});

async function start(config: Partial<TransparentConfig> = {}): Promise<TestTransparent> {
  const running = await startForTest(config);
  ends.push(() => running.close());
  return running;
}

function addressIn(response: Response): string {
  const [first] = response.answer;
  if (first?.rdata.type !== RRType.A) throw new Error(`no address: ${JSON.stringify(response)}`);
  return first.rdata.address;
}

async function echoServer(name: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => socket.write(`${name} ${bytes}`));
  });
  return opened(server.listen(0, "127.0.0.1"));
}

async function listenAt(host: string, at: number): Promise<number> {
  return opened(createServer().listen(at, host));
}

async function opened(server: Server): Promise<number> {
  await once(server, "listening");
  ends.push(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function udpEcho(name: string): Promise<number> {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => socket.send(`${name} ${message}`, from.port, from.address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  ends.push(() => void socket.close());
  return socket.address().port;
}
