import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";

import { boundConnections } from "./bound-connections.ts";

let server: Server;
afterEach(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));

const head = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

async function boundedTo(most: number, listener: RequestListener): Promise<void> {
  server = createServer(listener);
  boundConnections(server, most);
  await once(server.listen(0, "127.0.0.1"), "listening");
}

/** Connected, as the server sees it as well. */
async function connected(): Promise<Socket> {
  const seen = once(server, "connection");
  const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  socket.on("error", () => undefined);
  await seen;
  return socket.resume();
}

async function asking(): Promise<Socket> {
  const socket = await connected();
  const seen = once(server, "request");
  socket.write(head);
  await seen;
  return socket;
}

async function answered(socket: Socket): Promise<void> {
  socket.write(head);
  await once(socket, "data");
}

const answering: RequestListener = (_, response) => response.end("done");
const silent: RequestListener = () => undefined;

test("a new connection takes the place of the one that has asked nothing for longest", async () => {
  await boundedTo(2, answering);
  const first = await connected();
  const second = await connected();
  await answered(first);
  const third = await connected();
  await once(second, "close");
  await answered(first);
  await answered(third);
  await connected();
  await once(first, "close");
  expect(third.closed).toBe(false);
});

test("one whose request is under way stays, while another is quiet", async () => {
  await boundedTo(2, silent);
  const first = await asking();
  const second = await connected();
  await connected();
  await once(second, "close");
  expect(first.closed).toBe(false);
});

test("one that was answered is quiet again, and gives way to one whose request is under way", async () => {
  let isSilent = true;
  await boundedTo(2, (request, response) => (isSilent ? undefined : answering(request, response)));
  const first = await asking();
  isSilent = false;
  const second = await connected();
  await answered(second);
  await connected();
  await once(second, "close");
  expect(first.closed).toBe(false);
});

test("where every request is under way the oldest ends", async () => {
  await boundedTo(2, silent);
  const first = await asking();
  const second = await asking();
  await connected();
  await once(first, "close");
  expect(second.closed).toBe(false);
});

test("what has ended takes no place", async () => {
  await boundedTo(2, silent);
  const accepted = once(server, "connection");
  const first = await asking();
  const [socket] = (await accepted) as [Socket];
  const second = await connected();
  const ended = once(socket, "close");
  first.destroy();
  await ended;
  await connected();
  await answeredNothing(second);
});

/** A round trip through the server, after which an end of this connection would have come. */
async function answeredNothing(socket: Socket): Promise<void> {
  const seen = once(server, "request");
  socket.write(head);
  await seen;
  expect(socket.closed).toBe(false);
}
