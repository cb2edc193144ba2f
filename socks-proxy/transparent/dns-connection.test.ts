import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";

import { until } from "../../test/testbed/wait.ts";
import { DnsConnection, type DnsConnectionLimits } from "./dns-connection.ts";
import { MessageFrames, withLength } from "./tcp-frames.ts";

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

type Answer = (message: Uint8Array) => Promise<Uint8Array | undefined>;

async function connected(answer: Answer, limits?: DnsConnectionLimits): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new DnsConnection(socket, answer, limits);
    ends.push(() => connection.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  client.on("error", () => {});
  ends.push(
    () => void server.close(),
    () => client.destroy(),
  );
  await once(client, "connect");
  return client;
}

/** However: a client that still sends sees a reset. */
function whenClosed(client: Socket): Promise<void> {
  return new Promise((resolve) => client.once("close", () => resolve()));
}

function messagesOf(client: Socket): number[] {
  const frames = new MessageFrames();
  const messages: number[] = [];
  client.on("data", (bytes) => {
    frames.add(bytes);
    for (let next = frames.next(); next !== undefined; next = frames.next()) messages.push(next[0] ?? -1);
  });
  return messages;
}

const message = (octet: number) => withLength(Uint8Array.from([octet]));

test("each query is answered as soon as its answer is there, also one that came in single octets", async () => {
  const slow = Promise.withResolvers<Uint8Array>();
  const client = await connected(async (query) => (query[0] === 1 ? slow.promise : query));
  const messages = messagesOf(client);
  for (const octet of Buffer.concat([message(1), message(2)])) client.write(Uint8Array.from([octet]));
  await until("the second answer", () => messages.length === 1);
  slow.resolve(Uint8Array.from([1]));
  await until("the first answer", () => messages.length === 2);
  expect(messages).toEqual([2, 1]);
});

test("no more are taken on than may wait, and the rest when there is room; the end comes behind all answers", async () => {
  const waiting: (() => void)[] = [];
  const client = await connected((query) => new Promise((resolve) => waiting.push(() => resolve(query))), {
    mostWaiting: 8,
    idleMs: 60_000,
  });
  const messages = messagesOf(client);
  client.end(Buffer.concat(Array.from({ length: 20 }, (_, i) => message(i))));
  await until("eight that wait", () => waiting.length >= 8);
  await new Promise((resolve) => setImmediate(resolve));
  expect(waiting).toHaveLength(8);
  const ended = once(client, "end");
  await until("all answers", () => {
    waiting.shift()?.();
    return messages.length === 20;
  });
  await ended;
});

test("a client that sends single octets for ever is cut off", async () => {
  const client = await connected(async (query) => query, { mostWaiting: 8, idleMs: 150 });
  const closed = whenClosed(client);
  const drip = setInterval(() => client.write(Uint8Array.from([1])), 10);
  ends.push(() => clearInterval(drip));
  await closed;
});

test("a client whose query takes long is not cut off", async () => {
  const slow = Promise.withResolvers<Uint8Array>();
  const client = await connected(() => slow.promise, { mostWaiting: 8, idleMs: 20 });
  const messages = messagesOf(client);
  client.write(message(1));
  await new Promise((resolve) => setTimeout(resolve, 100));
  slow.resolve(Uint8Array.from([7]));
  await until("the answer", () => messages[0] === 7);
});

test("what is no DNS ends the connection", async () => {
  const client = await connected(async () => undefined);
  const closed = whenClosed(client);
  client.write(message(1));
  await closed;
});
