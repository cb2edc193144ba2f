import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { systemClock } from "../../agent/clock.ts";
import { LeaseKeeper } from "../../agent/lease/lease-keeper.ts";
import { openLink } from "../../agent/lease/link.ts";
import type { OpenLink } from "../../agent/lease/renewal-link.ts";
import { binding, ip } from "../../resolver/store/contract/builders.ts";
import { hostIdFor } from "../../resolver/testing/app.ts";
import { type FeedEvent, followChanges } from "../../shared/changes-client.ts";
import { createLog } from "../../shared/log.ts";
import { listHosts } from "../../shared/resolver-client.ts";
import { freePort } from "../../shared/testing/free-port.ts";
import { signerOf } from "../../shared/testing/test-signer.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import type { Part } from "./parts.ts";
import { startPlainWorker } from "./worker.ts";

/** Seconds: the shortest there is. */
const lease = 5;
let directory: TemporaryDir;
let worker: Part;
let url: string;
/** Everything that went over the wire, in short. */
let told: string[];
let keeper: LeaseKeeper;
let running: Promise<void>;

beforeAll(async () => {
  directory = makeTemporaryDir("berth-link-");
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  worker = await startPlainWorker(directory.path, port);
});
afterAll(async () => {
  keeper?.close();
  await running;
  await worker?.stop();
  directory.remove();
});

const hosts = async () => {
  return (await listHosts({ fetch, url, token: "a-readers-token", timeoutMs: 5000 })).hosts;
};
const pongs = () => told.filter((text) => text === "pong").length;

describe("an agent's lease at workerd", () => {
  it("is kept by pings that the runtime answers, well past what is stored", async () => {
    await startKeeper();
    // Twice the lease and more.
    await vi.waitFor(() => expect(pongs()).toBeGreaterThanOrEqual(8), { timeout: 30_000, interval: 200 });
    expect(told.filter((text) => text === "link")).toHaveLength(1);
    // The first one asks for the registry's generation.
    expect(told.filter((text) => text.startsWith("PUT"))).toEqual(["PUT", "PUT"]);
    expect((await hosts()).map(({ leaseRemaining }) => leaseRemaining > lease / 2)).toEqual([true]);
  });

  it("outlives workerd, kill -9 and all: the agent comes back with another link", async () => {
    const before = pongs();
    // workerd is a child of the process that started it.
    worker.process.killGroup();
    await worker.process.exited;
    await worker.start();
    await vi.waitFor(() => expect(pongs()).toBeGreaterThan(before + 1), { timeout: 40_000, interval: 200 });
    expect(await hosts()).toHaveLength(1);
  });

  it("goes on after the link is closed, and ends with the lease, as readers of the feed are told", async () => {
    const events: FeedEvent[] = [];
    const ends = new AbortController();
    const followed = follow(events, ends.signal);
    await vi.waitFor(() => expect(events.map(({ kind }) => kind)).toEqual(["snapshot"]), { timeout: 5000 });
    keeper.close();
    await running;
    expect(await hosts()).toHaveLength(1);
    // By the alarm: nobody asks the object meanwhile.
    await vi.waitFor(() => expect(events).toHaveLength(2), { timeout: 3 * lease * 1000 });
    expect(events[1]).toMatchObject({ kind: "change", services: [], gone: ["web.berth.internal."] });
    expect(await hosts()).toEqual([]);
    ends.abort();
    await followed;
  });
});

async function startKeeper(): Promise<void> {
  told = [];
  const open: OpenLink = (request, events) => {
    told.push("link");
    const onMessage = (text: string): void => {
      told.push(text);
      events.onMessage(text);
    };
    return openLink(request, { ...events, onMessage });
  };
  const heard = (async (input: string | URL, init?: RequestInit) => {
    told.push(init?.method ?? "GET");
    return fetch(input, init);
  }) as typeof fetch;
  keeper = new LeaseKeeper({
    hostId: await hostIdFor("a"),
    signer: signerOf("a"),
    urls: [url],
    fetch: heard,
    readToken: async () => "an-agents-token",
    wallTime: Date.now,
    lease,
    tokenFile: "the test's token",
    openLink: open,
    clock: systemClock,
    random: Math.random,
    log: createLog("agent", "warn", () => undefined),
  });
  const address = ip("127.0.0.1");
  const bindings = [binding("web", { at: [address] })];
  keeper.offer({ hostLabel: "nas", addresses: [address], local: true, bindings, problems: [] });
  running = keeper.run();
}

async function follow(events: FeedEvent[], signal: AbortSignal): Promise<void> {
  const after = systemClock.after;
  const access = { fetch, url, readToken: async () => "a-readers-token" };
  for await (const event of followChanges(access, { after, random: Math.random }, signal)) events.push(event);
}
