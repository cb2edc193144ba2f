import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { z } from "zod";

import { serverName } from "../agent/status/agent-status.ts";
import { askAgent, readAgent } from "./agent-access.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closing.splice(0)) await close();
});

async function listening(listener: RequestListener, host = "127.0.0.1") {
  const server = createServer(listener).listen(0, host);
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { host, port: (server.address() as AddressInfo).port };
}

const agentSays =
  (text: string, status = 200): RequestListener =>
  (_, response) =>
    response.writeHead(status, { server: serverName }).end(text);

test("an agent's reply is its status and text", async () => {
  expect(await askAgent(await listening(agentSays("no", 404)), "/x")).toEqual({ status: 404, text: "no" });
});

test("an agent that listens at every address is at this machine's own", async () => {
  const at = await listening(
    (request, response) => agentSays(request.headers.host ?? "")(request, response),
    "0.0.0.0",
  );
  expect((await askAgent(at, "/")).text).toBe(`127.0.0.1:${at.port}`);
});

test("another program at that port is named as such, whatever it answers", async () => {
  const stranger = await listening((_, response) => response.end("{}"));
  await expect(askAgent(stranger, "/status")).rejects.toMatchObject({ code: "not-an-agent" });
});

test("a redirect is followed nowhere", async () => {
  const elsewhere: RequestListener = (_, response) =>
    response.writeHead(302, { server: serverName, location: "http://127.0.0.1:1/" }).end();
  expect((await askAgent(await listening(elsewhere), "/")).status).toBe(302);
});

test("a reply without end is cut off", async () => {
  const endless: RequestListener = (_, response) => {
    response.writeHead(200, { server: serverName });
    const part = Buffer.alloc(1 << 20, "x");
    const write = (): void => {
      while (!response.destroyed && response.write(part));
      if (!response.destroyed) response.once("drain", write);
    };
    write();
  };
  await expect(askAgent(await listening(endless), "/")).rejects.toMatchObject({ code: "not-an-agent" });
});

test("another program that speaks no HTTP is no agent either, and is quoted on one line", async () => {
  const server = createTcpServer((socket) => socket.resume().end("SSH-2.0-OpenSSH\r\n")).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const at = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  await expect(askAgent(at, "/")).rejects.toMatchObject({
    code: "no-agent",
    message: expect.stringMatching(/^no agent answers at 127\.0\.0\.1:\d+ \(.+\); start it with berth agent/),
  });
});

test("an agent that stands still is not waited for longer than 10 s", { timeout: 30_000 }, async () => {
  const limit = AbortSignal.abort(new DOMException("late", "TimeoutError"));
  vi.spyOn(AbortSignal, "timeout").mockReturnValueOnce(limit);
  const silent = await listening(() => undefined);
  await expect(askAgent(silent, "/")).rejects.toThrow(
    /the agent at \S+ does not answer within 10 s; start it/,
  );
});

test("a connection that is ended before its answer is an agent's that is busy", async () => {
  const server = createTcpServer((socket) => socket.once("data", () => socket.destroy()));
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const at = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  await expect(askAgent(at, "/")).rejects.toMatchObject({
    code: "agent-busy",
    retryable: true,
    message: expect.stringMatching(/^what listens at 127\.0\.0\.1:\d+ is busy: .*; try again$/),
  });
});

test("a reply that breaks off is no reply", async () => {
  const at = await listening((_, response) => {
    response.writeHead(200, { server: serverName, "content-length": 100 });
    response.write("half", () => response.destroy());
  });
  await expect(askAgent(at, "/")).rejects.toMatchObject({ code: "agent-busy" });
});

test.each(["", "{", "[]", '{"count":"1"}'])(
  "a reply of %j is no reply of this version's agent",
  async (text) => {
    const at = await listening(agentSays(text));
    await expect(readAgent(at, "/", z.object({ count: z.number() }))).rejects.toMatchObject({
      code: "bad-reply",
    });
  },
);

test("an agent that cannot tell is a fault that says so", async () => {
  const at = await listening(agentSays("its log says why\n", 500));
  await expect(readAgent(at, "/", z.object({}))).rejects.toThrow("the agent answers 500: its log says why");
});
