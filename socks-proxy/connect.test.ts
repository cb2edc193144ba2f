import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import type { Endpoint } from "../shared/dns/endpoints.ts";
import { type Connection, connectFirst } from "./connect.ts";
import { addressOf } from "./testing/doh-server.ts";
import { closedPort } from "./testing/proxy.ts";
import { startSilentEndpoint } from "./testing/silent-endpoint.ts";

const never = new AbortController().signal;
let server: Server;
let accepted: Socket[];
let open: Endpoint;
let silentListener: Awaited<ReturnType<typeof startSilentEndpoint>>;
let silent: Endpoint;

beforeAll(async () => {
  silentListener = await startSilentEndpoint();
  silent = endpoint("127.0.0.1", silentListener.port);
});

afterAll(() => silentListener.close());

beforeEach(async () => {
  accepted = [];
  server = createServer((socket) => void accepted.push(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  open = endpoint("127.0.0.1", (server.address() as AddressInfo).port);
});

afterEach(() => {
  for (const socket of accepted) socket.destroy();
  server.close();
});

test("the first endpoint that accepts wins, and it says which", async () => {
  const connection = await connectFirst([open, endpoint("127.0.0.1", await closedPort())], limits());
  expect(connection).toMatchObject({ kind: "connected", endpoint: open });
  destroy(connection);
});

test("a refused endpoint leads to the next at once", async () => {
  const dead = endpoint("127.0.0.1", await closedPort());
  // Thirty of them would take 7.5 s at the pace of silent ones.
  const connection = await connectFirst([...Array<Endpoint>(30).fill(dead), open], limits(4_000));
  expect(connection).toMatchObject({ kind: "connected", endpoint: open });
  destroy(connection);
});

test("a silent endpoint is not waited for", async () => {
  const connection = await connectFirst([silent, open], limits(8_000));
  expect(connection).toMatchObject({ kind: "connected", endpoint: open });
  destroy(connection);
});

test("each failure is told with its endpoint", async () => {
  const dead = endpoint("127.0.0.1", await closedPort());
  expect(await connectFirst([dead], limits())).toEqual({
    kind: "connect-failed",
    failures: [{ endpoint: dead, errno: "ECONNREFUSED" }],
  });
  expect(await connectFirst([], limits())).toEqual({ kind: "connect-failed", failures: [] });
});

test("an attempt that is still open when the time is over failed by time-out", async () => {
  const failures = [
    { endpoint: silent, errno: "ETIMEDOUT" },
    { endpoint: silent, errno: "ETIMEDOUT" },
  ];
  expect(await connectFirst([silent, silent], limits(300))).toEqual({ kind: "connect-failed", failures });
});

test("an abort before or during the attempts ends them", async () => {
  expect(await connectFirst([open], { timeoutMs: 5_000, signal: AbortSignal.abort() })).toEqual({
    kind: "connect-failed",
    failures: [],
  });
  const leaving = new AbortController();
  const connection = connectFirst([silent], { timeoutMs: 60_000, signal: leaving.signal });
  leaving.abort();
  expect(await connection).toMatchObject({ kind: "connect-failed" });
});

function limits(timeoutMs = 5_000) {
  return { timeoutMs, signal: never };
}

function endpoint(address: string, port: number): Endpoint {
  return { address: addressOf(address), port, priority: 0, weight: 0 };
}

function destroy(connection: Connection): void {
  if (connection.kind === "connected") connection.upstream.destroy();
}
