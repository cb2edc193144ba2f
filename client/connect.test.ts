import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { type Connection, connectFirst } from "./connect.ts";
import type { Candidate } from "./endpoint-order.ts";
import { closedPort } from "./testing/closed-port.ts";
import { addressOf } from "./testing/doh-server.ts";
import { startSilentEndpoint } from "./testing/silent-endpoint.ts";

const never = new AbortController().signal;
let server: Server;
let accepted: Socket[];
let open: Candidate;
let silentListener: Awaited<ReturnType<typeof startSilentEndpoint>>;
let silent: Candidate;

beforeAll(async () => {
  silentListener = await startSilentEndpoint();
  silent = candidate("127.0.0.1", silentListener.port);
});

afterAll(() => silentListener.close());

beforeEach(async () => {
  accepted = [];
  server = createServer((socket) => void accepted.push(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  open = candidate("127.0.0.1", (server.address() as AddressInfo).port);
});

afterEach(() => {
  for (const socket of accepted) socket.destroy();
  server.close();
});

test("the first candidate that accepts wins, and it says which", async () => {
  const connection = await connectFirst([open, candidate("127.0.0.1", await closedPort())], limits());
  expect(connection).toMatchObject({ kind: "connected", candidate: open });
  destroy(connection);
});

test("a refused candidate leads to the next at once", async () => {
  const dead = candidate("127.0.0.1", await closedPort());
  // Thirty of them would take 7.5 s at the pace of silent ones.
  const connection = await connectFirst([...Array<Candidate>(30).fill(dead), open], limits(4_000));
  expect(connection).toMatchObject({ kind: "connected", candidate: open });
  destroy(connection);
});

test("a silent candidate is not waited for", async () => {
  const connection = await connectFirst([silent, open], limits(8_000));
  expect(connection).toMatchObject({ kind: "connected", candidate: open });
  destroy(connection);
});

test("each failure is told with its candidate", async () => {
  const dead = candidate("127.0.0.1", await closedPort());
  expect(await connectFirst([dead], limits())).toEqual({
    kind: "connect-failed",
    failures: [{ candidate: dead, errno: "ECONNREFUSED" }],
  });
  expect(await connectFirst([], limits())).toEqual({ kind: "connect-failed", failures: [] });
});

test("an attempt that is still open when the time is over failed by time-out", async () => {
  const failures = [
    { candidate: silent, errno: "ETIMEDOUT" },
    { candidate: silent, errno: "ETIMEDOUT" },
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

function candidate(address: string, port: number): Candidate {
  return { address: addressOf(address), port };
}

function destroy(connection: Connection): void {
  if (connection.kind === "connected") connection.upstream.destroy();
}
