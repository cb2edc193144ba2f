import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import type { Readable } from "node:stream";
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

import { changesPath } from "../../shared/changes.ts";
import { createLog } from "../../shared/log.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { createFeedBed } from "../testing/feed.ts";
import { openAuthority, type ServerCertificate } from "./authority.ts";
import { listenHttps } from "./listen.ts";

const silent = createLog("resolver", "error", () => undefined);
let certificate: ServerCertificate;
let ca: string;

beforeAll(async () => {
  const directory = makeTemporaryDir("berth-feed-");
  const authority = await openAuthority(directory.path);
  certificate = await authority.serverCertificate(["127.0.0.1"], Date.now());
  ca = readFileSync(authority.caFile, "utf8");
  directory.remove();
});
afterEach(() => vi.useRealTimers());

interface RawFeed {
  /** Resolves when this has come. */
  says(text: string): Promise<void>;
  stream: Readable;
  leave(): void;
}

async function start() {
  const bed = createFeedBed();
  const at = { host: "127.0.0.1", port: 0 };
  const mayLast = (path: string) => path === changesPath;
  const transport = await listenHttps(bed.app.fetch, at, certificate, silent, { mayLast });
  onTestFinished(transport.close);
  return { bed, transport, port: transport.address.port };
}

async function openHttp1(port: number): Promise<RawFeed> {
  const sent = request({ host: "127.0.0.1", port, path: changesPath, ca, agent: false }).end();
  const [stream] = (await once(sent, "response")) as [Readable];
  return rawFeedOf(stream, () => sent.destroy());
}

async function openHttp2(port: number): Promise<RawFeed> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca });
  session.on("error", () => undefined);
  const stream = session.request({ ":path": changesPath });
  await once(stream, "response");
  return rawFeedOf(stream, () => session.destroy());
}

function rawFeedOf(stream: Readable, leave: () => void): RawFeed {
  let heard = "";
  stream.on("error", () => undefined);
  onTestFinished(leave);
  const wanted = new Map<string, () => void>();
  stream.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
    for (const [text, resolve] of wanted) if (heard.includes(text)) resolve();
  });
  const says = (text: string): Promise<void> =>
    new Promise((resolve) => {
      wanted.set(text, resolve);
      if (heard.includes(text)) resolve();
    });
  return { says, stream, leave };
}

describe.each([
  ["HTTP/1.1", openHttp1],
  ["HTTP/2", openHttp2],
])("a feed over %s", (_, open) => {
  test("brings every event when it happens, and ends for the resolver when its reader leaves", async () => {
    const { bed, port } = await start();
    const feed = await open(port);
    await feed.says("event: snapshot");
    bed.add("web");
    await feed.says("id: g.1\nevent: change");
    expect(bed.changes.listeners).toBe(1);
    feed.leave();
    await vi.waitFor(() => expect(bed.changes.listeners).toBe(0));
  });

  test("outlives the time that other exchanges have", async () => {
    // Time goes on besides: a reply begins after timers of the HTTP adapter's own.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldAdvanceTime: true });
    const { bed, port } = await start();
    const feed = await open(port);
    vi.advanceTimersByTime(3_600_000);
    bed.add("web");
    await feed.says("event: change");
  });

  test("whose reader stops reading holds little, and is ended", async () => {
    const { bed, port } = await start();
    const names = Array.from({ length: 20 }, (_none, index) => `n${index}`);
    const feed = await open(port);
    await feed.says("event: snapshot");
    feed.stream.pause();
    // Until the sockets between them are full.
    let reads = 0;
    do {
      reads = bed.reads.length;
      for (let round = 0; round < 50; round++) {
        bed.add(...names);
        await bed.clock.advance(100);
      }
    } while (bed.reads.length > reads);
    await bed.clock.advance(60_000);
    await vi.waitFor(() => expect(bed.changes.listeners).toBe(0));
  });

  test("ends with the resolver", async () => {
    const { bed, port, transport } = await start();
    const feed = await open(port);
    const closed = new Promise((resolve) => feed.stream.once("close", resolve));
    await transport.close();
    await closed;
    await vi.waitFor(() => expect(bed.changes.listeners).toBe(0));
  });
});
