import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test, vi } from "vitest";

import { statusWith } from "../testing/agent-status.ts";
import { RecordedLog } from "../testing/recorded-log.ts";
import type { StatusSource } from "./status-reply.ts";
import { createStatusServer, type StatusServer } from "./status-server.ts";

const log = new RecordedLog();
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const close of closing.splice(0).toReversed()) await close();
  log.lines.length = 0;
});

const source: StatusSource = { status: () => statusWith(), explain: () => undefined };

async function started(
  options: { port?: number; host?: string; source?: StatusSource; now?: () => number } = {},
): Promise<StatusServer> {
  const { port = 0, host = "127.0.0.1", ...others } = options;
  const server = await createStatusServer({ source, log, ...others, listen: { host, port } });
  closing.push(() => server.close());
  return server;
}

function portOf(server: StatusServer): number {
  return server.address?.port ?? expect.fail("it does not listen");
}

async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
) {
  const request = httpRequest({ host: "127.0.0.1", port, path, agent: false, ...options });
  request.end();
  const [response] = await once(request, "response");
  return { status: response.statusCode, headers: response.headers, text: await text(response) };
}

/** A client below HTTP: what it sends, and everything it is sent until the connection ends. */
async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  closing.push(async () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function sent(port: number, octets: string): Promise<string> {
  const socket = await connected(port);
  socket.write(octets);
  return text(socket).catch(() => "");
}

describe("the status server", () => {
  test("answers over http, to be kept by nobody and read by no web page", async () => {
    const server = await started();
    const reply = await ask(portOf(server), "/metrics");
    expect(reply.status).toBe(200);
    expect(reply.text).toContain("berth_agent_bindings 12\n");
    expect(reply.headers).toMatchObject({
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      server: "berth-agent",
    });
    expect(reply.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("refuses a name that was made to point here, and keeps no connection with it", async () => {
    const reply = await ask(portOf(await started()), "/status", { headers: { host: "evil.example" } });
    expect(reply).toMatchObject({ status: 421, headers: { connection: "close" } });
  });

  test.each([
    ["two Host headers", "GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 421],
    ["no Host in HTTP/1.0", "GET /status HTTP/1.0\r\n\r\n", 421],
    ["no Host in HTTP/1.1", "GET /status HTTP/1.1\r\n\r\n", 400],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\r\n\r\n", 400],
    ["a body", "GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 413],
    [
      "a body in chunks",
      "GET /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
      413,
    ],
    ["another method", "DELETE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405],
    [
      "an upgrade",
      "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      404,
    ],
    ["a head without end", `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  ])("%s is refused and the connection ended", async (_, octets, status) => {
    const port = portOf(await started());
    expect(await sent(port, octets)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect((await ask(port, "/status")).status).toBe(200);
  });

  test("says so where other machines can read it", async () => {
    await started({ host: "0.0.0.0" });
    expect(log.matching(/^info metrics and status at .*, for other machines as well$/)).toHaveLength(1);
    await started();
    expect(log.matching(/^info/)).toHaveLength(1);
  });

  test("a HEAD has the length of the page and no page", async () => {
    const reply = await ask(portOf(await started()), "/status", { method: "HEAD" });
    expect(reply.text).toBe("");
    expect(Number(reply.headers["content-length"])).toBeGreaterThan(100);
  });

  test("a length is counted in octets", async () => {
    const given = statusWith({ flapping: ["日本"] });
    const port = portOf(await started({ source: { ...source, status: () => given } }));
    expect(JSON.parse((await ask(port, "/status")).text)).toEqual(given);
  });

  test("ends a client that does not take its reply in time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const problem = { container: "web", code: "bad-label", message: "x".repeat(500) };
    const large = statusWith({ problems: Array.from({ length: 20_000 }, () => problem) });
    const asked = Promise.withResolvers<void>();
    const status = () => {
      asked.resolve();
      return large;
    };
    const socket = await connected(portOf(await started({ source: { ...source, status } })));
    socket.pause();
    socket.write("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await asked.promise;
    await vi.advanceTimersByTimeAsync(10_000);
    let octets = 0;
    socket.on("data", (part) => {
      octets += part.length;
    });
    socket.resume();
    await once(socket, "close");
    expect(octets).toBeLessThan(JSON.stringify(large).length);
  });

  test("ends the connection that has asked nothing for longest, for a new one", async () => {
    const port = portOf(await started());
    const sockets = [];
    for (let count = 0; count < 64; count++) sockets.push((await connected(port)).resume());
    const [first, second] = sockets;
    const firstEnds = once(first ?? expect.fail(), "close");
    // Whoever asks is no longer the quietest.
    second?.write("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(second ?? expect.fail(), "data");
    expect((await ask(port, "/status")).status).toBe(200);
    await firstEnds;
    expect((await ask(port, "/status")).status).toBe(200);
    expect(sockets.slice(1).filter(({ closed }) => closed)).toEqual([]);
  });

  test("explains a few times a second and no more, whoever asks", async () => {
    let now = 0;
    const explained: string[] = [];
    const explain = (what: string): string[] => {
      explained.push(what);
      return ["so it is"];
    };
    const port = portOf(await started({ source: { ...source, explain }, now: () => now }));
    const asked = Array.from({ length: 60 }, (_, index) => ask(port, `/explain?of=c${index}`));
    const replies = await Promise.all(asked);
    expect(explained).toHaveLength(4);
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(56);
    now = 1_000;
    expect((await ask(port, "/explain?of=web")).text).toBe("so it is\n");
  });

  test("a close ends what is open", async () => {
    const server = await started();
    const socket = await connected(portOf(server));
    socket.resume();
    const closed = once(socket, "close");
    await server.close();
    await closed;
    expect(server.address).toBeUndefined();
  });
});

describe("a port that is taken", () => {
  async function taken(): Promise<{ port: number; free(): Promise<void> }> {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const free = async (): Promise<void> => void (await new Promise((resolve) => other.close(resolve)));
    closing.push(free);
    return { port: (other.address() as AddressInfo).port, free };
  }

  test("is a warning that says how to mend it, and no fault", async () => {
    const { port } = await taken();
    const server = await started({ port });
    expect(server.address).toBeUndefined();
    expect(log.matching(/^warn .*127\.0\.0\.1:\d+ is in use by another program.*--status off/)).toHaveLength(
      1,
    );
    await server.close();
  });

  test("is tried again, without another word until it can be had", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { port, free } = await taken();
    const server = await started({ port });
    await vi.advanceTimersByTimeAsync(15_000);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0));
    expect(log.lines).toHaveLength(1);
    await free();
    await vi.advanceTimersByTimeAsync(15_000);
    vi.useRealTimers();
    await vi.waitFor(() => expect(server.address?.port).toBe(port));
    expect(log.matching(/^info metrics and status at/)).toHaveLength(1);
    expect((await ask(port, "/status")).status).toBe(200);
  });

  test("is not tried again after the end", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { port } = await taken();
    await (await started({ port })).close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("an address that is not this machine's is a warning as well", async () => {
    const server = await started({ host: "192.0.2.1" });
    expect(server.address).toBeUndefined();
    expect(log.matching(/^warn .*cannot listen on 192\.0\.2\.1/)).toHaveLength(1);
  });
});
