import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  request,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer, request as secureRequest } from "node:https";
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { openAuthority } from "../resolver/serve/authority.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import type { Client } from "./program/client-types.ts";
import { createClient } from "./program/create-client.ts";
import { ServiceSocket } from "./program/service-socket.ts";
import { closedPort } from "./testing/closed-port.ts";
import { addressRecord, serviceRecords, startResolver, type TestResolver } from "./testing/doh-server.ts";

const web = "web.shop.berth.internal";
let resolver: TestResolver;
let client: Client;
let servers: { close(done?: () => void): unknown; closeAllConnections?: () => void }[];
let accepted: Socket[];
let certificates: Certificates;

interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

beforeAll(async () => {
  const directory = makeTemporaryDir("berth-client-");
  try {
    const authority = await openAuthority(directory.path);
    const leaf = await authority.serverCertificate([web], Date.now());

    certificates = { ...leaf, ca: readFileSync(authority.caFile, "utf8") };
  } finally {
    directory.remove();
  }
});

beforeEach(async () => {
  servers = [];
  accepted = [];
  resolver = await startResolver();
  client = createClient({ resolver: resolver.url, zone: "berth.internal", restartPatienceMs: 0 });
});

afterEach(async () => {
  await client.close();
  for (const socket of accepted) socket.destroy();
  for (const server of servers) {
    server.close();
    server.closeAllConnections?.();
  }
  resolver.close();
});

describe("lookup", () => {
  beforeEach(() => {
    resolver.records = [
      addressRecord(web, "10.0.0.5"),
      addressRecord(web, "2001:db8::5"),
      addressRecord("only4.berth.internal", "10.0.0.6"),
    ];
  });

  test.each([
    [{}, "2001:db8::5"],
    [{ family: 4 }, "10.0.0.5"],
    [{ family: "IPv6" as const }, "2001:db8::5"],
    [{ order: "ipv4first" as const }, "10.0.0.5"],
    [4, "10.0.0.5"],
  ])("with %j answers one address, as dns.lookup does", async (options, address) => {
    const family = address.includes(":") ? 6 : 4;
    expect(await lookedUp(web, options)).toEqual([null, address, family]);
  });

  test("answers all of them when all are wanted, in the order wanted", async () => {
    const four = { address: "10.0.0.5", family: 4 };
    const six = { address: "2001:db8::5", family: 6 };
    expect(await lookedUp(web, { all: true })).toEqual([null, [six, four]]);
    expect(await lookedUp(web, { all: true, order: "ipv4first" })).toEqual([null, [four, six]]);
    expect(await lookedUp("only4.berth.internal", { all: true })).toMatchObject([null, [{ family: 4 }]]);
  });

  test("takes no options too, and leaves other names to the system", async () => {
    const [fault, address] = await new Promise<unknown[]>((resolve) => {
      client.lookup("localhost", (...given) => resolve(given));
    });
    expect(fault).toBeNull();
    expect(["127.0.0.1", "::1"]).toContain(address);
    expect(resolver.queries).toEqual([]);
  });

  test("says what there is not as dns.lookup does", async () => {
    const [fault] = await lookedUp("nobody.berth.internal", {});
    expect(fault).toMatchObject({
      code: "ENOTFOUND",
      syscall: "getaddrinfo",
      hostname: "nobody.berth.internal",
    });
    expect((await lookedUp("-.berth.internal", {}))[0]).toMatchObject({ code: "ENOTFOUND" });
    expect((await lookedUp("only4.berth.internal", { family: 6 }))[0]).toMatchObject({ code: "ENOTFOUND" });
  });

  test("says that no resolver answers as dns.lookup does", async () => {
    resolver.close();
    expect((await lookedUp(web, {}))[0]).toMatchObject({ code: "EAI_AGAIN", syscall: "getaddrinfo" });
  });

  test("serves as the lookup of a connection, where the port is the service's own", async () => {
    const port = await echo();
    resolver.records = [addressRecord(web, "127.0.0.1")];
    const socket = connectTcp({ host: web, port, lookup: client.lookup });
    socket.end("hello");
    expect(await text(socket)).toBe("hello");
  });
});

describe("resolve", () => {
  test("answers the endpoints of a port in the order to try them", async () => {
    resolver.records = serviceRecords(web, 80, [
      { address: "10.0.0.5", port: 32768, priority: 20 },
      { address: "10.0.0.6", port: 32769, priority: 10 },
    ]);
    expect(await client.resolve(web, 80)).toEqual([
      { addresses: ["10.0.0.6"], port: 32769, priority: 10, weight: 0 },
      { addresses: ["10.0.0.5"], port: 32768, priority: 20, weight: 0 },
    ]);
  });

  test("tells UDP ports from TCP ports", async () => {
    resolver.records = serviceRecords(web, 514, [{ address: "10.0.0.5", port: 40000 }], "udp");
    expect(await client.resolve(web, 514, { protocol: "udp" })).toMatchObject([{ port: 40000 }]);
    await expect(client.resolve(web, 514)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("gives an address back as it is", async () => {
    expect(await client.resolve("10.0.0.5", 80)).toMatchObject([{ addresses: ["10.0.0.5"], port: 80 }]);
  });

  test("rejects with the codes of Node, and says what was found instead", async () => {
    resolver.records = serviceRecords(web, 80, [{ address: "10.0.0.5", port: 1 }]);
    await expect(client.resolve(web, 22)).rejects.toMatchObject({
      code: "ECONNREFUSED",
      message: `${web}:22: the name does not publish TCP port 22; it publishes 80`,
      facts: { reason: "port-not-published" },
    });
    await expect(client.resolve("no.berth.internal", 22)).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(client.resolve(web, 0)).rejects.toBeInstanceOf(RangeError);
    resolver.token = "wanted";
    await expect(client.resolve(web, 81)).rejects.toMatchObject({ code: "no-token" });
  });
});

describe("connect", () => {
  beforeEach(async () => serve(web, 80, await echo()));

  test("gives a stream at once, which takes what is written before it is connected", async () => {
    const stream = client.connect({ host: web, port: 80 });
    expect([stream.connecting, stream.pending, stream.readyState]).toEqual([true, true, "opening"]);
    stream.setNoDelay().setKeepAlive(true, 1_000).write("hel");
    stream.end("lo");
    expect(await text(stream)).toBe("hello");
    expect(stream.destroyed).toBe(true);
  });

  test("tells of the connection as net.connect does", async () => {
    const stream = client.connect(80, web);
    await once(stream, "ready");
    expect([stream.connecting, stream.pending, stream.readyState]).toEqual([false, false, "open"]);
    expect(stream).toMatchObject({ remoteAddress: "127.0.0.1", remotePort: accepted[0]?.localPort });
    expect(stream.address()).toMatchObject({ port: accepted[0]?.remotePort, family: "IPv4" });
    stream.destroy();
    await once(stream, "close");
  });

  test("carries much both ways at the pace of the slower side, to the last byte", async () => {
    const chunk = Buffer.alloc(1 << 20, "berth");
    const stream = client.connect({ host: web, port: 80 });
    for (let part = 0; part < 8; part++) stream.write(chunk);
    stream.end();
    let received = 0;
    for await (const piece of stream) {
      received += (piece as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(received).toBe(8 << 20);
    expect(stream.bytesRead).toBe(8 << 20);
  });

  test("ends our direction when the other side has ended its own, unless half-close is wanted", async () => {
    for (const allowHalfOpen of [false, true]) {
      const stream = client.connect({ host: web, port: 80, allowHalfOpen });
      await once(stream, "connect");
      accepted.at(-1)?.end("bye");
      expect(await text(stream)).toBe("bye");
      expect(stream.writable).toBe(allowHalfOpen);
      stream.destroy();
    }
  });

  test("emits why it failed", async () => {
    serve(web, 81, await closedPort());
    const fault = once(client.connect({ host: web, port: 81 }), "error");
    expect((await fault)[0]).toMatchObject({
      code: "ECONNREFUSED",
      message: expect.stringMatching(
        /^web\.shop\.berth\.internal:81: no endpoint accepts .*127\.0\.0\.1:\d+ ECONN/,
      ),
    });
  });

  test("calls the attempt off when it is destroyed before it is connected", async () => {
    const signals: AbortSignal[] = [];
    const stream = new ServiceSocket((_, { signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    }).connect(80, web);
    stream.write("lost");
    stream.destroy();
    await once(stream, "close");
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test("closes a connection that comes about after it was destroyed", async () => {
    const late = Promise.withResolvers<Socket>();
    const stream = new ServiceSocket(() => late.promise).connect(80, web);
    stream.destroy();
    const socket = connectTcp(await echo(), "127.0.0.1");
    late.resolve(socket);
    await once(socket, "close");
  });

  test("keeps what came for a reader that comes later than the end", async () => {
    const stream = client.connect({ host: web, port: 80 });
    stream.end("hello");
    await once(stream, "connect");
    await once(accepted[0] as Socket, "close");
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await text(stream)).toBe("hello");
  });

  test("takes no more than its reader reads", async () => {
    const stream = client.connect({ host: web, port: 80 });
    await once(stream, "connect");
    accepted[0]?.write(Buffer.alloc(32 << 20));
    for (let [seen, quiet] = [0, 0]; quiet < 50; quiet = stream.bytesRead === seen ? quiet + 1 : 0) {
      seen = stream.bytesRead;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.bytesRead).toBeLessThan(1 << 20);
    stream.destroy();
  });

  test("emits timeout when there is silence, and goes on", async () => {
    const stream = client.connect({ host: web, port: 80 });
    stream.setTimeout(30);
    await once(stream, "timeout");
    stream.setTimeout(0);
    stream.end("still there");
    expect(await text(stream)).toBe("still there");
  });

  test("is what TLS can be put over", async () => {
    serve(web, 443, await https());
    const stream = client.connect({ host: web, port: 443 });
    const secure = connectTls({ socket: stream, servername: web, ca: certificates.ca });
    secure.write(`GET /over-tls HTTP/1.1\r\nHost: ${web}\r\nConnection: close\r\n\r\n`);
    expect(await text(secure)).toContain("/over-tls");
  });

  test("can be left to a library, which calls connect(port, host) itself", async () => {
    const stream = client.socket();
    expect(stream.readyState).toBe("closed");
    stream.connect(80, web);
    stream.end("as pg does");
    expect(await text(stream)).toBe("as pg does");
    expect(() => stream.connect(80, web)).toThrow("make another one");
  });
});

describe("open", () => {
  test("gives one of Node's sockets, connected", async () => {
    serve(web, 80, await echo());
    const socket = await client.open({ host: web, port: 80 });
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.end("hello");
    expect(await text(socket)).toBe("hello");
  });

  test("ends with its signal", async () => {
    resolver.faults.set(`_80._tcp.${web}`, "silence");
    const leaving = new AbortController();
    const socket = client.open({ host: web, port: 80 }, { signal: leaving.signal });
    leaving.abort();
    await expect(socket).rejects.toMatchObject({ name: "AbortError" });
  });

  test("reaches addresses and the system's names as they are", async () => {
    const port = await echo();
    for (const host of ["127.0.0.1", "localhost"]) {
      const socket = await client.open({ host, port });
      expect(socket.remotePort).toBe(port);
      socket.destroy();
    }
    expect(resolver.queries).toEqual([]);
  });
});

describe("HTTP", () => {
  test("by http.request goes where the name leads, with the name as its Host", async () => {
    serve(web, 80, await http());
    const agent = client.agent();
    expect(await got(request(`http://${web}/one`, { agent }))).toBe(`${web} /one`);
    expect(await got(request(`http://${web}/two`, { agent }))).toBe(`${web} /two`);
    expect(accepted).toHaveLength(1);
    // The server ends the connection kept: the next request goes by another one.
    const kept = Object.values(agent.freeSockets).flat()[0];
    accepted[0]?.end();
    await once(kept as Socket, "close");
    expect(await got(request(`http://${web}/three`, { agent }))).toBe(`${web} /three`);
    agent.destroy();
  });

  test("by http.request tells why it cannot", async () => {
    const agent = client.agent();
    const fault = got(request("http://nobody.berth.internal/", { agent }));
    await expect(fault).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  test("by http.request tells it each of the requests that wait for an agent's only connection", async () => {
    const server = createHttpServer();
    serve(web, 80, await listen(server));
    const agent = client.agent({ maxSockets: 1 });
    const first = got(request(`http://${web}/`, { agent }));
    const [, reply] = (await once(server, "request")) as [unknown, ServerResponse];
    const others = [1, 2, 3].map(() => got(request(`http://${web}/`, { agent, method: "POST" })));
    server.close();
    reply.setHeader("connection", "close").end("the last one");
    expect(await first).toBe("the last one");
    for (const other of others) await expect(other).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(agent.requests).toEqual({});
  });

  test("by http.request that was called off ends with its signal's fault, whatever comes of its name", async () => {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    resolver.held = promise;
    const agent = client.agent();
    const leaving = new AbortController();
    const reply = got(request(`http://${web}/`, { agent, signal: leaving.signal }));
    leaving.abort();
    release();
    await expect(reply).rejects.toMatchObject({ name: "AbortError" });
    expect(agent.sockets).toEqual({});
  });

  test("by fetch ends with its signal, while the name is waited for too", async () => {
    resolver.faults.set(`_80._tcp.${web}`, "silence");
    const dispatcher = client.dispatcher();
    const leaving = new AbortController();
    const reply = fetch(`http://${web}/`, { dispatcher, signal: leaving.signal });
    leaving.abort();
    await expect(reply).rejects.toMatchObject({ name: "AbortError" });
    await dispatcher.destroy();
  });

  test("by http.request to a Unix socket stays what it is", async () => {
    const directory = makeTemporaryDir("berth-client-");
    const socketPath = `${directory.path}/http`;
    const server = createHttpServer((asked, reply) => reply.end(asked.url)).listen(socketPath);
    await once(server, "listening");
    const agent = client.agent();
    expect(await got(request({ socketPath, path: "/by-path", agent }))).toBe("/by-path");
    agent.destroy();
    server.close();
    directory.remove();
  });

  test("by https.request is secured for the name, and by nothing less", async () => {
    serve(web, 443, await https());
    const agent = client.httpsAgent({ ca: certificates.ca });
    expect(await got(secureRequest(`https://${web}/one`, { agent }))).toBe(`${web} /one`);
    agent.destroy();
    serve("other.berth.internal", 443, Number(await portOf(servers.at(-1) as Server)));
    const others = client.httpsAgent({ ca: certificates.ca });
    await expect(
      got(secureRequest("https://other.berth.internal/", { agent: others })),
    ).rejects.toMatchObject({
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    const untrusting = client.httpsAgent();
    await expect(got(secureRequest(`https://${web}/`, { agent: untrusting }))).rejects.toMatchObject({
      code: expect.stringMatching(/CERT|VERIFY/),
    });
    for (const each of [others, untrusting]) each.destroy();
  });

  test("by fetch goes where the name leads", async () => {
    serve(web, 80, await http());
    serve(web, 443, await https());
    const dispatcher = client.dispatcher({ connect: { ca: certificates.ca } });
    for (const scheme of ["http", "https"]) {
      const reply = await fetch(`${scheme}://${web}/fetched`, { dispatcher });
      expect(await reply.text()).toBe(`${web} /fetched`);
    }
    await expect(fetch("http://nobody.berth.internal/", { dispatcher })).rejects.toMatchObject({
      cause: { code: "ENOTFOUND" },
    });
    await dispatcher.close();
  });
});

test("a restart on another port goes unnoticed", async () => {
  await client.close();
  client = createClient({ resolver: resolver.url, zone: "berth.internal", restartPatienceMs: 20_000 });
  serve(web, 80, await echo());
  (await client.open({ host: web, port: 80 })).destroy();
  servers[0]?.close();
  const opened = client.open({ host: web, port: 80 });
  const asked = resolver.queries.length;
  while (resolver.queries.length < asked + 2) await new Promise((resolve) => setImmediate(resolve));
  serve(web, 80, await echo());
  (await opened).destroy();
  expect(accepted).toHaveLength(2);
});

function lookedUp(name: string, options: Parameters<Client["lookup"]>[1]): Promise<unknown[]> {
  return new Promise((resolve) => {
    client.lookup(name, options as object, (...given) => resolve(given));
  });
}

/** Publishes what listens at `port` of this machine as `name` and `servicePort`. */
function serve(name: string, servicePort: number, port: number): void {
  const records = serviceRecords(name, servicePort, [{ address: "127.0.0.1", port }]);
  const owners = new Set(records.map((record) => record.name));
  resolver.records = [...resolver.records.filter((record) => !owners.has(record.name)), ...records];
}

async function echo(): Promise<number> {
  return listen(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));
}

function http(): Promise<number> {
  return listen(createHttpServer((asked, reply) => reply.end(`${asked.headers.host} ${asked.url}`)));
}

function https(): Promise<number> {
  const { cert, key } = certificates;
  return listen(
    createHttpsServer({ cert, key }, (asked, reply) => reply.end(`${asked.headers.host} ${asked.url}`)),
  );
}

async function listen(server: Server | HttpServer): Promise<number> {
  server.on("connection", (socket: Socket) => accepted.push(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  return portOf(server);
}

function portOf(server: Server | HttpServer): number {
  return (server.address() as AddressInfo).port;
}

async function got(asking: ReturnType<typeof request>): Promise<string> {
  asking.end();
  const [reply] = (await once(asking, "response")) as [NodeJS.ReadableStream];
  return text(reply as Parameters<typeof text>[0]);
}
