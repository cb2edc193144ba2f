import { once } from "node:events";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";

import { refuseUpgrade } from "./link-upgrade.ts";

const reply = () => Response.json({ error: "no" }, { status: 409, headers: { "x-more": "1" } });

test("a refusal is a whole HTTP/1.1 reply, and the connection ends with the client's end", async () => {
  const [client, server] = duplexPair();
  const closed = once(server, "close");
  client.end("more than was asked");
  await refuseUpgrade(server, reply(), 60_000);
  const body = '{"error":"no"}';
  expect(await text(client)).toBe(
    `HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\nx-more: 1\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
  await closed;
});

test("a client that never ends is waited for no longer than was said", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const [client, server] = duplexPair();
  await refuseUpgrade(server, reply(), 5000);
  client.resume();
  const closed = once(server, "close");
  vi.advanceTimersByTime(4999);
  expect(server.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  await closed;
  vi.useRealTimers();
});
