import { readFileSync, statSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { readConfig } from "../shared/config.ts";
import { createLog } from "../shared/log.ts";
import { freePort } from "../shared/testing/free-port.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { resolverOptions } from "./config.ts";
import { type RunningResolver, startResolver } from "./node.ts";
import { hostId, pushBody, TestAgent } from "./testing/app.ts";

const logged: string[] = [];
const log = createLog("resolver", "warn", (line) => logged.push(line));
beforeEach(() => void logged.splice(0));

function makeStateDir(): string {
  const directory = makeTemporaryDir("berth-resolver-");
  onTestFinished(() => directory.remove());
  return join(directory.path, "state");
}

async function start(stateDir: string, flags: Record<string, string> = {}) {
  const config = readConfig(resolverOptions, { stateDir, listen: "127.0.0.1:0", ...flags }, {});
  const resolver = await startResolver(config, log);
  let isOpen = true;
  const close = async () => {
    if (isOpen) await resolver.close();
    isOpen = false;
  };
  onTestFinished(close);
  return { ...resolver, close, token: readFileSync(resolver.agentTokenFile, "utf8").trim() };
}

/** One HTTP/1.1 exchange over TLS verified against the resolver's own CA. */
function exchange(
  resolver: RunningResolver,
  path: string,
  options: { method?: string; token?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string }> {
  const { method = "GET", token = "", body } = options;
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    ...options.headers,
  };
  const { host, port } = resolver.address;
  return new Promise((resolve, reject) => {
    const sent = request({
      host,
      port,
      path,
      method,
      headers,
      ca: readFileSync(resolver.caFile),
      agent: false,
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
    });
    // Without a content-length the body goes in chunks, as an agent that streams would send it.
    if (body !== undefined) sent.write(body);
    sent.end();
  });
}

/** The resolver as a test agent speaks to an app: each request in an exchange of its own. */
function appAt(resolver: RunningResolver): { request(asked: Request | string | URL): Promise<Response> } {
  return {
    async request(asked) {
      const request = new Request(asked);
      const { method } = request;
      const headers = Object.fromEntries(request.headers);
      const sent = { method, headers, body: await request.text() };
      const { status, body } = await exchange(resolver, new URL(request.url).pathname, sent);
      return new Response(body, { status });
    },
  };
}

function exchangeHttp2(resolver: RunningResolver, path: string): Promise<number> {
  const { host, port } = resolver.address;
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://${host}:${port}`, { ca: readFileSync(resolver.caFile) });
    session.on("error", reject);
    const stream = session.request({ ":path": path });
    stream.on("response", (headers) => {
      session.destroy();
      resolve(Number(headers[":status"]));
    });
    stream.end();
  });
}

describe("a resolver on Node", () => {
  test("speaks HTTP/1.1 and HTTP/2 over TLS that its own CA vouches for", async () => {
    const resolver = await start(makeStateDir());
    expect(resolver.address.port).toBeGreaterThan(0);
    expect(await exchange(resolver, "/healthz")).toMatchObject({ status: 200 });
    expect(await exchangeHttp2(resolver, "/healthz")).toBe(200);
    const alpn = await new Promise((resolve, reject) => {
      const { host, port } = resolver.address;
      const socket = connectTls({
        host,
        port,
        ca: readFileSync(resolver.caFile),
        ALPNProtocols: ["h2", "http/1.1"],
      });
      socket.on("error", reject);
      socket.on("secureConnect", () => {
        resolve(socket.alpnProtocol);
        socket.destroy();
      });
    });
    expect(alpn).toBe("h2");
  });

  test("gives one HTTP/2 connection no more than 100 streams", async () => {
    const { caFile, address } = await start(makeStateDir());
    const session = connectHttp2(`https://localhost:${address.port}`, { ca: readFileSync(caFile) });
    onTestFinished(() => session.destroy());
    const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
      session.once("remoteSettings", resolve),
    );
    expect(settings.maxConcurrentStreams).toBe(100);
  });

  test("takes no more than 512 connections of one peer", async () => {
    const { address } = await start(makeStateDir());
    const sockets = Array.from({ length: 520 }, () => connect(address.port, address.host));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const closed = new Set<number>();
    sockets.forEach((socket, index) => {
      socket.on("error", () => undefined);
      socket.on("close", () => closed.add(index));
    });
    await vi.waitFor(() => expect(closed.size).toBe(8), { timeout: 10_000 });
  });

  test("closes a connection whose body it answered unread", async () => {
    const { caFile, address } = await start(makeStateDir());
    const socket = connectTls({ host: address.host, port: address.port, ca: readFileSync(caFile) });
    onTestFinished(() => void socket.destroy());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    let reply = "";
    socket.on("data", (chunk: Buffer) => {
      reply += chunk.toString();
    });
    const head = ["PUT /v1/hosts/x HTTP/1.1", "host: localhost", "content-length: 100000000"];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    // A client that goes on sending whatever it was told.
    const sending = setInterval(() => socket.write(Buffer.alloc(100_000)), 50);
    onTestFinished(() => clearInterval(sending));
    await closed;
    expect(reply).toMatch(/^HTTP\/1\.1 401 /);
  });

  test("keeps tokens, authority and names over a restart", async () => {
    const stateDir = makeStateDir();
    const first = await start(stateDir);
    for (const file of [first.agentTokenFile, first.readerTokenFile, join(stateDir, "tls", "ca.key")]) {
      expect((statSync(file).mode & 0o777).toString(8), file).toBe("600");
    }
    expect((statSync(stateDir).mode & 0o777).toString(8)).toBe("700");
    expect(first.token).not.toBe(readFileSync(first.readerTokenFile, "utf8").trim());
    expect(first.token.length).toBeGreaterThanOrEqual(43);
    expect(
      await new TestAgent(appAt(first), "a", first.token).send(
        "PUT",
        `/v1/hosts/${hostId}`,
        await pushBody(),
      ),
    ).toMatchObject({ status: 200 });
    const ca = readFileSync(first.caFile, "utf8");
    await first.close();

    const second = await start(stateDir);
    expect(second.token).toBe(first.token);
    expect(readFileSync(second.caFile, "utf8")).toBe(ca);
    const { body: services } = await exchange(second, "/v1/services", { token: second.token });
    expect(JSON.parse(services)).toMatchObject({ services: [{ name: "web.shop.berth.internal." }] });
  });

  test("refuses to start on a token file that holds no token", async () => {
    const stateDir = makeStateDir();
    const { agentTokenFile, close } = await start(stateDir);
    await close();
    writeFileSync(agentTokenFile, "\n");
    await expect(start(stateDir)).rejects.toMatchObject({ code: "bad-token-file", who: agentTokenFile });
  });

  test("serves plain http beside, on loopback only", async () => {
    const port = await freePort();
    await start(makeStateDir(), { listenHttp: `127.0.0.1:${port}` });
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    await expect(start(makeStateDir(), { listenHttp: "0.0.0.0:0" })).rejects.toMatchObject({
      code: "bad-config",
      message: expect.stringContaining("--listen-http"),
    });
  });

  test.each(["listen", "listenHttp"])(
    "names the port that %s found in use, and lets go of all else",
    async (option) => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void other.close());
      const { port } = other.address() as AddressInfo;
      const stateDir = makeStateDir();
      const listen = `127.0.0.1:${await freePort()}`;
      await expect(start(stateDir, { listen, [option]: `127.0.0.1:${port}` })).rejects.toMatchObject({
        code: "port-in-use",
        message: expect.stringContaining(String(port)),
      });
      const again = await start(stateDir, { listen });
      expect((await exchange(again, "/healthz")).status, "port and registry are free").toBe(200);
    },
  );

  test("refuses a second resolver on the same state, and goes on itself", async () => {
    const stateDir = makeStateDir();
    const first = await start(stateDir);
    await expect(start(stateDir)).rejects.toMatchObject({ code: "bad-database" });
    expect((await exchange(first, "/healthz")).status).toBe(200);
  });

  test("refuses a zone with no room for hosts' names below it", async () => {
    const zone = `${"a".repeat(60)}.${"b".repeat(60)}`;
    await expect(start(makeStateDir(), { zone })).rejects.toMatchObject({ code: "bad-config" });
  });
});

describe("a client that goes away in the middle does not end the process:", () => {
  async function resetAfter(resolver: RunningResolver & { token: string }, bytes: string, alpn: string) {
    const raw = connect(resolver.address);
    const socket = connectTls({
      socket: raw,
      ca: readFileSync(resolver.caFile),
      ALPNProtocols: [alpn],
    });
    for (const one of [raw, socket]) one.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
    await new Promise<void>((resolve) => socket.write(bytes, "latin1", () => resolve()));
    // Its first octets are being read when the reset comes.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const closed = new Promise((resolve) => raw.once("close", resolve));
    raw.resetAndDestroy();
    await closed;
  }
  const put = (token: string) =>
    `PUT /v1/hosts/${hostId} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
    'content-length: 1000\r\n\r\n{"half":';
  const query =
    "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 40\r\n\r\nhalf";
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

  test.each([
    ["half a body over HTTP/1.1", put, "http/1.1"],
    ["half a DNS message over HTTP/1.1", () => query, "http/1.1"],
    ["half a header over HTTP/1.1", () => "GET /v1/hosts HTTP/1.1\r\nho", "http/1.1"],
    ["garbage over HTTP/1.1", () => "\0\x01\x02\r\n\r\n", "http/1.1"],
    ["a preface over HTTP/2", () => preface, "h2"],
    ["garbage over HTTP/2", () => "GET / HTTP/1.1\r\n\r\n", "h2"],
    ["a broken frame over HTTP/2", () => `${preface}\xff\xff\xff\xff\xff\xff\xff\xff\xff`, "h2"],
  ])("%s", async (_, bytes, alpn) => {
    const resolver = await start(makeStateDir());
    for (let round = 0; round < 5; round++) await resetAfter(resolver, bytes(resolver.token), alpn);
    expect((await exchange(resolver, "/healthz")).status).toBe(200);
    // Strangers must not be able to fill the log.
    expect(logged).toEqual([]);
  });

  test("one that breaks HTTP/2 and waits for what the server makes of it", async () => {
    const resolver = await start(makeStateDir());
    const { host, port } = resolver.address;
    const ca = readFileSync(resolver.caFile);
    const socket = connectTls({ host, port, ca, ALPNProtocols: ["h2"] });
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
    // Headers on stream 0 are a connection error (RFC 9113 §6.2).
    socket.write(`${preface}\0\0\x01\x01\x05\0\0\0\0\x82`, "latin1");
    await new Promise((resolve) => socket.resume().once("close", resolve));
    expect((await exchange(resolver, "/healthz")).status).toBe(200);
  });

  test("one that never speaks TLS", async () => {
    const resolver = await start(makeStateDir());
    const socket = connect(resolver.address);
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => socket.write("GET / HTTP/1.1\r\n\r\n", () => resolve()));
    socket.resetAndDestroy();
    expect((await exchange(resolver, "/healthz")).status).toBe(200);
  });
});
