import { createServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Address } from "../../shared/address.ts";
import { freePort } from "../../shared/testing/free-port.ts";
import type { WantedCheck } from "../declare/input.ts";
import { probe } from "./probe.ts";

const servers: Server[] = [];
const sockets = new Set<Socket>();
const never = new AbortController().signal;

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((closed) => server.close(closed))));
});

describe("a TCP check", () => {
  it("finds nothing wrong where somebody accepts, and closes its connection", async () => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await listen(createTcpServer(accepted.resolve));
    expect(await probe(check(port), never)).toBeUndefined();
    const socket = (await accepted.promise).resume();
    await new Promise((closed) => socket.once("close", closed));
  });

  it("says that nothing listens where the connection is refused", async () => {
    const port = await freePort();
    expect(await probe(check(port), never)).toBe(
      `127.0.0.1:${port} refuses the connection: nothing listens there`,
    );
  });

  it("reaches an IPv6 address", async () => {
    const port = await listen(createTcpServer(), "::1");
    expect(await probe({ ...check(port), address: "::1" as Address }, never)).toBeUndefined();
  });
});

describe("an HTTP check", () => {
  it("asks for the path, as the address, on a connection of its own", async () => {
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      seen.push(request.method, request.url, request.headers.host, request.headers.connection);
      response.end("fine");
    });
    const port = await listen(server);
    expect(await probe(check(port, "/health?deep=1"), never)).toBeUndefined();
    expect(seen).toEqual(["GET", "/health?deep=1", `127.0.0.1:${port}`, "close"]);
  });

  it.each([
    [200, true],
    [204, true],
    [302, true],
    [399, true],
    [400, false],
    [503, false],
  ])("takes status %i for healthy: %s", async (status, isHealthy) => {
    const port = await listen(createServer((_, response) => void response.writeHead(status).end()));
    const fault = await probe(check(port, "/"), never);
    if (isHealthy) expect(fault).toBeUndefined();
    else expect(fault).toBe(`127.0.0.1:${port} answers HTTP ${status}; 200 to 399 would be healthy`);
  });

  it("does not follow a redirect", async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.writeHead(302, { location: "/elsewhere" }).end();
    });
    expect(await probe(check(await listen(server), "/"), never)).toBeUndefined();
    expect(requests).toBe(1);
  });

  it("closes on a body without end instead of reading it", async () => {
    const closed = Promise.withResolvers<void>();
    const server = createServer((_, response) => {
      response.on("close", closed.resolve);
      const write = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384)));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    });
    expect(await probe({ ...check(await listen(server), "/"), timeoutMs: 60_000 }, never)).toBeUndefined();
    await closed.promise;
  });

  it("closes a connection whose body never comes when the time is over", async () => {
    const closed = Promise.withResolvers<void>();
    const server = createServer((_, response) => void response.on("close", closed.resolve).flushHeaders());
    expect(await probe({ ...check(await listen(server), "/"), timeoutMs: 200 }, never)).toBeUndefined();
    await closed.promise;
  });

  it("gives up on a server that accepts and says nothing", async () => {
    const port = await listen(createTcpServer());
    const fault = await probe({ ...check(port, "/"), timeoutMs: 150 }, never);
    expect(fault).toBe(`127.0.0.1:${port} does not answer within 0.15 s`);
  });

  it.each([
    ["SSH-2.0-OpenSSH_9.2\r\n", /answers, but not in HTTP/],
    [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(40_000)}\r\n\r\n`, /answers, but not in HTTP/],
    ["HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", /without an answer/],
    ["", /(without an answer|breaks the connection off)/],
  ])("says in words what is wrong with %j for an answer", async (answer, words) => {
    const port = await listen(createTcpServer((socket) => void socket.end(answer)));
    expect(await probe(check(port, "/"), never)).toMatch(words);
  });

  it("takes nothing from a path that would break out of its line", async () => {
    let connections = 0;
    const server = createTcpServer(() => {
      connections += 1;
    });
    const port = await listen(server);
    const fault = await probe(check(port, "/ HTTP/1.1\r\nX: y"), never);
    expect(fault).toContain("is not one HTTP allows");
    expect(connections).toBe(0);
  });
});

it.each([undefined, "/"])("ends at once when it is called off (path %s)", async (path) => {
  const stop = new AbortController();
  const closed = Promise.withResolvers<void>();
  const server = createTcpServer((socket) => {
    socket.resume().on("close", () => closed.resolve());
    stop.abort();
  });
  const port = await listen(server);
  await probe({ ...check(port, path), timeoutMs: 600_000 }, stop.signal);
  await closed.promise;
});

it("does not even begin when it was called off before", async () => {
  expect(await probe(check(await freePort()), AbortSignal.abort())).toContain("without an answer");
});

function check(port: number, httpPath?: string): WantedCheck {
  const address = "127.0.0.1" as Address;
  return { key: "k", container: "c", httpPath, address, port, intervalMs: 1_000, timeoutMs: 30_000 };
}

async function listen(server: Server | HttpServer, host = "127.0.0.1"): Promise<number> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => server.listen(0, host, ready));
  return (server.address() as AddressInfo).port;
}
