import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, test } from "vitest";

import { statusWith } from "../testing/agent-status.ts";
import { RecordedLog } from "../testing/recorded-log.ts";
import { createStatusServer, type StatusServer } from "./status-server.ts";

// Node keeps these limits by timers of its own, so they take their time here.

let server: StatusServer;
afterEach(() => server.close());

async function connected() {
  const source = { status: () => statusWith(), explain: () => undefined };
  server = await createStatusServer({
    listen: { host: "127.0.0.1", port: 0 },
    source,
    log: new RecordedLog(),
  });
  const socket = connect({ host: "127.0.0.1", port: server.address?.port ?? 0 });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket.resume();
}

test("a client that sends its request too slowly is ended", { timeout: 30_000 }, async () => {
  const socket = await connected();
  socket.write("GET /status HTTP/1.1\r\nHost: loc");
  // Never quiet, so that only the head's own limit can end it.
  const drip = setInterval(() => socket.write("a"), 200);
  await once(socket, "close");
  clearInterval(drip);
});

test("a client that connects and says nothing is ended", { timeout: 60_000 }, async () => {
  await once(await connected(), "close");
});

test("a client that was answered and says nothing more is ended", { timeout: 60_000 }, async () => {
  const socket = await connected();
  socket.write("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(socket, "close");
});
