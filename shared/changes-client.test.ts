import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { FakeClock, settle } from "../agent/testing/fake-clock.ts";
import { createFeedBed } from "../resolver/testing/feed.ts";
import { type FeedEvent, followChanges } from "./changes-client.ts";
import { BerthError } from "./errors.ts";

const stream = { "content-type": "text/event-stream" };
const snapshot = (revision: number) =>
  `id: g.${revision}\nevent: snapshot\ndata: {"revision":${revision},"services":[]}\n\n`;
const change = (revision: number) =>
  `id: g.${revision}\nevent: change\ndata: {"revision":${revision},"services":[],"gone":["a.berth.internal"]}\n\n`;

type Reply = (response: ServerResponse, request: IncomingMessage) => void;

/** A peer that answers one connection after another as `replies` say, the last one ever after; and a reader of it. */
async function follow(...replies: [Reply, ...Reply[]]) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    reply?.(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const clock = new FakeClock();
  const stopped = new AbortController();
  const faults: unknown[] = [];
  const readToken = vi.fn(async () => "secret-token");
  const access = { fetch, url: `http://127.0.0.1:${port}/`, readToken };
  const timers: number[] = [];
  const after = (ms: number, run: () => void): (() => void) => {
    timers.push(ms);
    return clock.after(ms, run);
  };
  const bed = { onOpen: (): void => {} };
  const onOpen = (): void => bed.onOpen();
  const ports = { after, random: () => 0, onOpen, onFault: (fault: unknown) => faults.push(fault) };
  const events = followChanges(access, ports, stopped.signal);
  onTestFinished(() => {
    stopped.abort();
    server.closeAllConnections();
    server.close();
  });
  const next = async (): Promise<string> => {
    const { done, value } = await events.next();
    return done ? "end" : `${value.kind} ${value.revision}`;
  };
  /** Moves time until this has come about. */
  const waitOut = async <T>(promise: Promise<T>): Promise<T> => {
    const turning = setInterval(() => void clock.advance(250), 5);
    return promise.finally(() => clearInterval(turning));
  };
  return Object.assign(bed, { next, events, requests, clock, timers, faults, stopped, readToken, waitOut });
}

describe("a follower of the change feed", () => {
  test("gives out the snapshot and the changes, and sends its token", async () => {
    const feed = await follow(
      (response) => void response.writeHead(200, stream).write(snapshot(1) + change(2)),
    );
    expect(await feed.next()).toBe("snapshot 1");
    const { value } = await feed.events.next();
    expect(value).toEqual({ kind: "change", revision: 2, services: [], gone: ["a.berth.internal."] });
    expect(feed.requests[0]?.headers).toMatchObject({
      authorization: "Bearer secret-token",
      accept: "text/event-stream",
    });
    expect(feed.requests[0]?.headers["last-event-id"]).toBeUndefined();
    expect(feed.requests[0]?.url).toBe("/v1/changes");
  });

  test.each([
    ["ends", (response: ServerResponse) => void response.end()],
    ["breaks off", (response: ServerResponse) => void response.destroy()],
  ])("goes on after the last event when its connection %s", async (_, finish) => {
    const feed = await follow(
      (response) => response.writeHead(200, stream).write(snapshot(1) + change(2), () => finish(response)),
      (response) => void response.writeHead(200, stream).write(change(3)),
    );
    expect(await feed.next()).toBe("snapshot 1");
    expect(await feed.next()).toBe("change 2");
    expect(await feed.waitOut(feed.next())).toBe("change 3");
    expect(feed.requests[1]?.headers["last-event-id"]).toBe("g.2");
    expect(feed.readToken).toHaveBeenCalledTimes(2);
  });

  test("goes on when there was no sign of life for 45 s, and not before", async () => {
    const feed = await follow(
      (response) => {
        response.writeHead(200, stream).write(snapshot(1));
        setTimeout(() => response.write(":\n\n"), 20);
      },
      (response) => void response.writeHead(200, stream).write(change(2)),
    );
    expect(await feed.next()).toBe("snapshot 1");
    expect(await feed.waitOut(feed.next())).toBe("change 2");
    expect(feed.clock.now()).toBeGreaterThanOrEqual(45_000);
    expect(feed.faults).toEqual([expect.objectContaining({ code: "resolver-unreachable" })]);
  });

  test("waits longer after each failure, up to half a minute, and says why", async () => {
    const refuse: Reply = (response) => {
      response.writeHead(401, { "content-type": "application/json" });
      response.end('{"error":{"code":"token-revoked","message":"no"}}');
    };
    const feed = await follow(refuse);
    void feed.next();
    const nine = () => expect(feed.faults.length).toBeGreaterThanOrEqual(9);
    await feed.waitOut(vi.waitFor(nine, { timeout: 10_000, interval: 5 }));
    const waits = feed.timers.filter((ms) => ms !== 45_000).slice(0, 8);
    // `random` is 0, so each wait is half of the whole one.
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(feed.faults[0]).toMatchObject({ code: "token-revoked" });
    expect(String(feed.faults[0])).not.toContain("secret-token");
  });

  test.each([
    [
      "a page",
      (response: ServerResponse) =>
        void response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
    ],
    [
      "text that is no JSON",
      (response: ServerResponse) => void response.writeHead(200, stream).write("event: change\ndata: x\n\n"),
    ],
    [
      "an event of another shape",
      (response: ServerResponse) =>
        void response.writeHead(200, stream).write("id: g.7\nevent: change\ndata: {}\n\n"),
    ],
  ])("starts anew after %s", async (_, reply) => {
    const feed = await follow(
      (response) => response.writeHead(200, stream).end(snapshot(1)),
      reply,
      (response) => void response.writeHead(200, stream).write(snapshot(2)),
    );
    expect(await feed.next()).toBe("snapshot 1");
    expect(await feed.waitOut(feed.next())).toBe("snapshot 2");
    expect(feed.requests.map(({ headers }) => headers["last-event-id"])).toEqual([
      undefined,
      "g.1",
      undefined,
    ]);
    expect(feed.faults).toEqual([expect.objectContaining({ code: "bad-reply" })]);
  });

  test("leaves no connection open to what is no feed", async () => {
    const feed = await follow((response) => {
      response.writeHead(200, { "content-type": "text/html" }).write("<html>");
    });
    void feed.next();
    await vi.waitFor(() => expect(feed.faults).toHaveLength(1));
    await vi.waitFor(() => expect(feed.requests[0]?.socket.destroyed).toBe(true));
  });

  test("says when it has a connection, also one that goes on where it was", async () => {
    const opened = vi.fn();
    const feed = await follow(
      (response) => response.writeHead(200, stream).end(snapshot(1)),
      (response) => void response.writeHead(401).end(),
      (response) => void response.writeHead(200, stream).write(":\n\n"),
    );
    feed.onOpen = opened;
    expect(await feed.next()).toBe("snapshot 1");
    expect(opened).toHaveBeenCalledTimes(1);
    void feed.next();
    await feed.waitOut(vi.waitFor(() => expect(opened).toHaveBeenCalledTimes(2), { timeout: 10_000 }));
    expect(feed.requests).toHaveLength(3);
  });

  test("passes over kinds of events it does not know", async () => {
    const feed = await follow(
      (response) =>
        void response.writeHead(200, stream).write(`${snapshot(1)}event: news\ndata: {}\n\n${change(2)}`),
    );
    expect([await feed.next(), await feed.next()]).toEqual(["snapshot 1", "change 2"]);
  });

  test("says that the token cannot be read, and tries again", async () => {
    const feed = await follow((response) => void response.writeHead(200, stream).write(snapshot(1)));
    feed.readToken.mockRejectedValueOnce(new BerthError("no-token", "no file"));
    expect(await feed.waitOut(feed.next())).toBe("snapshot 1");
    expect(feed.faults).toEqual([expect.objectContaining({ code: "no-token" })]);
  });

  test("ends when it is told to, connected or not, and closes its connection", async () => {
    const feed = await follow((response) => void response.writeHead(200, stream).write(snapshot(1)));
    await feed.next();
    const closed = new Promise((resolve) => feed.requests[0]?.socket.once("close", resolve));
    const next = feed.next();
    feed.stopped.abort();
    expect(await next).toBe("end");
    await closed;

    const refused = await follow((response) => void response.writeHead(500).end());
    const none = refused.next();
    await vi.waitFor(() => expect(refused.faults).toHaveLength(1));
    refused.stopped.abort();
    expect(await none).toBe("end");
  });

  test("closes its connection when its caller stops reading", async () => {
    const feed = await follow(
      (response) => void response.writeHead(200, stream).write(snapshot(1) + change(2)),
    );
    await feed.next();
    const closed = new Promise((resolve) => feed.requests[0]?.socket.once("close", resolve));
    await feed.events.return();
    await closed;
  });

  test("understands a resolver of its own kind", async () => {
    const bed = createFeedBed();
    bed.add("web");
    const inProcess: typeof fetch = async (url, init) => bed.app.request(String(url), init);
    const access = { fetch: inProcess, url: "http://localhost", readToken: async () => "token" };
    const ports = { after: bed.clock.after.bind(bed.clock), random: () => 0 };
    const seen: FeedEvent[] = [];
    for await (const event of followChanges(access, ports, new AbortController().signal)) {
      seen.push(event);
      if (seen.length === 1) bed.add("db");
      if (seen.length === 2) break;
    }
    expect(seen.map(({ kind, services }) => [kind, services.map(({ name }) => name)])).toEqual([
      ["snapshot", ["web.berth.internal."]],
      ["change", ["db.berth.internal."]],
    ]);
    await settle();
    expect(bed.changes.listeners).toBe(0);
  });
});
