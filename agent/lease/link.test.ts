import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { WebSocketServer } from "ws";

import { openLink } from "./link.ts";
import type { LinkEnd } from "./link-end.ts";
import type { Link } from "./renewal-link.ts";

/** What one link told, and a peer whose links a test holds in its hands. */
let told: string[];
let ends: LinkEnd[];
let server: ReturnType<typeof createServer>;
let links: WebSocketServer;
let url: string;
let mine: Link[];

beforeEach(async () => {
  told = [];
  ends = [];
  mine = [];
  server = createServer();
  links = new WebSocketServer({ server });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/hosts/x/link`;
});
afterEach(async () => {
  for (const link of mine) link.drop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function open(to = url): Link {
  const link = openLink(
    { url: to, headers: { authorization: "Bearer secret", "berth-epoch": "1" } },
    {
      onOpen: () => told.push("open"),
      onMessage: (text) => told.push(text),
      onEnd: (end) => ends.push(end),
    },
  );
  mine.push(link);
  return link;
}

const opened = () => vi.waitFor(() => expect(told).toContain("open"), { timeout: 5_000 });
const ended = () => vi.waitFor(() => expect(ends).toHaveLength(1), { timeout: 5_000 });

describe("a link", () => {
  test("asks with its headers and protocol, and carries text both ways", async () => {
    const asked = new Promise<Record<string, unknown>>((resolve) => {
      links.on("connection", (link, { headers }) => {
        resolve(headers);
        link.on("message", (data) => link.send(`${data}-pong`));
      });
    });
    const link = open();
    await opened();
    link.send("ping");
    await vi.waitFor(() => expect(told).toEqual(["open", "ping-pong"]), { timeout: 5_000 });
    expect(await asked).toMatchObject({
      authorization: "Bearer secret",
      "berth-epoch": "1",
      "sec-websocket-protocol": "berth.link.1",
    });
    expect(ends).toEqual([]);
  });

  test.each([4409, 4401, 1001])("hands on the code it is closed with: %i", async (code) => {
    links.on("connection", (link) => link.close(code, "because"));
    open();
    await ended();
    expect(ends).toEqual([{ kind: "closed", code }]);
  });

  test("tells an end without a goodbye as well", async () => {
    links.on("connection", (link) => link.terminate());
    open();
    await ended();
    expect(ends).toEqual([{ kind: "closed", code: 1006 }]);
  });

  test.each(["close", "drop"] as const)(
    "%s is heard by the other side, and not told to this one",
    async (how) => {
      const code = new Promise<number>((resolve) => {
        links.on("connection", (link) => link.on("close", resolve));
      });
      const link = open();
      await opened();
      link[how]();
      expect(await code).toBe(how === "close" ? 1000 : 1006);
      link.send("ping");
      link.close();
      expect(ends).toEqual([]);
    },
  );

  test("octets are no message, and a message without bound is the end", async () => {
    links.on("connection", (link) => {
      link.send(new Uint8Array(3));
      link.send("x".repeat(17 * 1024 * 1024));
    });
    open();
    await ended();
    expect(told).toEqual(["open"]);
  });
});

describe("no link", () => {
  test.each([401, 404, 409, 501, 302])("the status of a refusal: %i", async (status) => {
    server.removeAllListeners("upgrade");
    server.on("upgrade", (_, socket) => {
      socket.end(`HTTP/1.1 ${status} no\r\nlocation: ${url}\r\ncontent-length: 0\r\n\r\n`);
    });
    open();
    await ended();
    expect(ends).toEqual([{ kind: "refused", status }]);
  });

  test("an ordinary answer to the upgrade is a refusal too", async () => {
    links.close();
    server.removeAllListeners("upgrade");
    server.on("request", (_, response) => response.end("a page"));
    open();
    await ended();
    expect(ends).toEqual([{ kind: "refused", status: 200 }]);
  });

  test("nobody there; and nothing of the token in what is told", async () => {
    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    open(`http://127.0.0.1:${port}/`);
    await ended();
    expect(ends).toMatchObject([{ kind: "failed", fault: { code: "ECONNREFUSED" } }]);
    expect(JSON.stringify(ends)).not.toContain("secret");
  });

  test.each(["close", "drop"] as const)("%s while it is being opened", async (how) => {
    const { promise: accepted, resolve } = Promise.withResolvers<Socket>();
    const silent = createTcpServer((socket) => resolve(socket.resume()));
    onTestFinished(() => void silent.close());
    await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
    const link = open(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`);
    const socket = await accepted;
    const closed = once(
      socket.on("error", () => {}),
      "close",
    );
    link[how]();
    await closed;
    expect([told, ends]).toEqual([[], []]);
  });
});
