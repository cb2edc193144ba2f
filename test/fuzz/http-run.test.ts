import { expect, test } from "vitest";

import { serviceName } from "./exchanges.ts";
import { HttpRun, type SeenRun } from "./http-run.ts";
import { MemoryWire } from "./memory-wire.ts";

const nothing = new Uint8Array(0);
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

/** The servers choose by the index what they say; these are all that nobody has to prove who they are for. */
const indexes = Array.from({ length: 32 }, (_, index) => index).filter((index) => index % 4 !== 1);

test.each(indexes)(
  "a connection kept for the next request ends when a tunnel takes its place: %i",
  async (index) => {
    const seen = await oneAfterAnother(index, [
      request(`GET http://${serviceName}/`),
      request(`CONNECT ${serviceName}:80`),
    ]);
    expect(seen.upstreams.length).toBeGreaterThan(0);
  },
);

test.each(indexes)("another protocol, asked for behind the last answer, is dropped: %i", async (index) => {
  const behind = [request("GET /status"), request(`GET http://${serviceName}/`, upgrade)];
  const { client, ends, upstreams } = await oneAfterAnother(index, [request("GET /"), ...behind]);
  expect(client).toMatch(/^HTTP\/1\.1 400 .*ask for http:\/\/name\/\n$/s);
  expect(upstreams).toEqual([]);
  // Which could take the answer away from the client.
  expect(ends).not.toMatch(/reset/);
});

/** Sends each when nothing moves any more; throws when the proxy keeps anything open, or logs a fault of its own. */
async function oneAfterAnother(index: number, requests: readonly string[]): Promise<SeenRun> {
  const wire = new MemoryWire();
  const run = new HttpRun({ seed: 1, index, bytes: nothing, cuts: [], ending: "wait" }, wire);
  run.answer();
  run.begin(nothing);
  for (const text of requests) {
    run.send(Buffer.from(text));
    await wire.rest();
  }
  run.leave();
  await wire.rest();
  expect(wire.open).toBe(0);
  return run.seen();
}

function request(line: string, fields = ""): string {
  return `${line} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
}
