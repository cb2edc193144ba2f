import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";

import { acceptChannel, type Channel } from "../relay/channel.ts";
import { connectRaw, greeting, nameRequest } from "../testing/raw-client.ts";
import { type Negotiation, negotiate } from "./negotiate.ts";

let server: Server;
let timeoutMs: number;
let negotiated: PromiseWithResolvers<{ channel: Channel; negotiation: Negotiation }>;

beforeEach(async () => {
  timeoutMs = 10_000;
  negotiated = Promise.withResolvers();
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, async (accepted) => {
    const channel = acceptChannel(accepted);
    const negotiation = await negotiate(channel, { users: undefined, timeoutMs });
    negotiated.resolve({ channel, negotiation });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  const { channel } = await negotiated.promise;
  channel.socket.destroy();
  server.close();
});

test("what comes behind the request is given back, and what comes later is left for whoever takes the channel", async () => {
  const client = await connected();
  client.send(greeting, nameRequest("web", 80), Buffer.from("early"));
  const { channel, negotiation } = await negotiated.promise;
  expect(negotiation).toMatchObject({ kind: "request", early: new Uint8Array(Buffer.from("early")) });
  expect([...(await client.read(2))]).toEqual([5, 0]);
  client.socket.end("later");
  expect(await takeAll(channel)).toBe("later");
});

test("a client of HTTP is handed on with its first bytes", async () => {
  const client = await connected();
  client.socket.end("GET / HTTP/1.1\r\n");
  const { channel, negotiation } = await negotiated.promise;
  expect(negotiation).toEqual({ kind: "http", early: new Uint8Array(Buffer.from("GET / HTTP/1.1\r\n")) });
  expect(await takeAll(channel)).toBe("");
});

test("a client that ends its direction, or breaks off, before its request is complete has gone", async () => {
  const client = await connected();
  client.send(greeting);
  await client.read(2);
  client.socket.end();
  expect((await negotiated.promise).negotiation).toEqual({ kind: "client-gone" });
  negotiated = Promise.withResolvers();
  const second = await connected();
  second.socket.resetAndDestroy();
  expect((await negotiated.promise).negotiation).toEqual({ kind: "client-gone" });
});

test("one limit is for the whole hand-shake, however busy the client is with it", async () => {
  timeoutMs = 150;
  const client = await connected();
  client.send(greeting);
  await client.read(2);
  const busy = setInterval(() => client.send(5), 40);
  client.send(5, 1, 0, 3, 200);
  const { negotiation } = await negotiated.promise;
  clearInterval(busy);
  expect(negotiation).toEqual({ kind: "handshake-timeout" });
});

async function connected() {
  const client = await connectRaw((server.address() as AddressInfo).port);
  void negotiated.promise.then(({ channel }) => channel.socket.once("close", () => client.socket.destroy()));
  return client;
}

function takeAll(channel: Channel): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  channel.take({
    bytes(chunk) {
      text += Buffer.from(chunk).toString();
      return true;
    },
    end: () => resolve(text),
  });
  return promise;
}
