import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

import type { PushReply } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { until } from "../../test/testbed/wait.ts";
import { replyToFault } from "../faults.ts";
import { openAuthority, type ServerCertificate } from "./authority.ts";
import type { Bound } from "./link.ts";
import { createLinkServer, type LinkServerParts } from "./links.ts";
import { listenHttp, listenHttps } from "./listen.ts";
import {
  connectRaw,
  frame,
  type LinkPlace,
  openLink,
  refusedLink,
  upgradeOctets,
} from "./testing/link-clients.ts";

const bound: Bound = { hostId: "a".repeat(52), epoch: 1, tokenId: "one", generation: "g", lease: 15 };
const news: PushReply = { lease: 15, revision: 3, grantsRevision: 2, hostLabel: "nas", refused: [] };
const path = `/v1/hosts/${bound.hostId}/link`;
const silent = createLog("resolver", "error", () => undefined);
let certificate: ServerCertificate;
let ca: string;

beforeAll(async () => {
  const directory = makeTemporaryDir("berth-links-");
  const authority = await openAuthority(directory.path);
  certificate = await authority.serverCertificate(["127.0.0.1"], Date.now());
  ca = readFileSync(authority.caFile, "utf8");
  directory.remove();
});
afterEach(() => vi.useRealTimers());

/** Links on a real transport; a request for one is granted `bound`, with what the header x-bound says on top. */
async function startLinks(changed: Partial<LinkServerParts> = {}) {
  const parts = {
    verify: vi.fn<LinkServerParts["verify"]>(async ({ headers }) => ({
      ...bound,
      ...(JSON.parse(String(headers["x-bound"] ?? "{}")) as Partial<Bound>),
    })),
    ping: vi.fn<LinkServerParts["ping"]>(() => true),
    replyFor: (fault: unknown) => replyToFault(fault, () => undefined),
    log: silent,
  };
  const links = createLinkServer({ ...parts, ...changed });
  const served = vi.fn((request: Request) => new Response(new URL(request.url).pathname, { status: 404 }));
  const at = { host: "127.0.0.1", port: 0 };
  const transport = await listenHttps(served, at, certificate, silent, { upgrades: links });
  onTestFinished(async () => {
    await links.close();
    await transport.close();
  });
  const place: LinkPlace = { port: transport.address.port, ca, path };
  return { links, parts, served, place };
}

const as = (changed: Partial<Bound>) => ({ "x-bound": JSON.stringify(changed) });

describe("an open link", () => {
  test("answers every ping, when that prolonged the lease it is bound to", async () => {
    const { parts, place } = await startLinks();
    const link = await openLink(place);
    expect(await link.ask("ping")).toBe("pong");
    expect(await link.ask("ping")).toBe("pong");
    expect(parts.ping.mock.calls).toEqual([[bound], [bound]]);
    expect(link.socket.protocol).toBe("berth.link.1");
    expect(link.socket.extensions).toBe("");
  });

  test.each([
    ["of which the process does not speak for the host any more", () => false, 4409],
    ["that the store cannot write down", () => Promise.reject(new BerthError("store-unavailable", "")), 1011],
  ])("is closed by a ping %s", async (_, ping, code) => {
    const { links, place } = await startLinks({ ping });
    const link = await openLink(place);
    link.socket.send("ping");
    expect(await link.closed).toBe(code);
    expect(link.heard).toEqual([]);
    expect(links.count()).toBe(0);
  });

  test.each([
    ["another word", "pong", 1003],
    ["a binary ping", Buffer.from("ping"), 1003],
    ["more than 64 octets", "p".repeat(65), 1009],
  ])("is closed by %s", async (_, message, code) => {
    const { parts, place } = await startLinks();
    const link = await openLink(place);
    link.socket.send(message);
    expect(await link.closed).toBe(code);
    expect(parts.ping).not.toHaveBeenCalled();
  });

  test("is closed when no ping has come for three leases", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { place } = await startLinks();
    const link = await openLink(place, as({ lease: 10 }));
    vi.advanceTimersByTime(29_000);
    expect(await link.ask("ping")).toBe("pong");
    vi.advanceTimersByTime(29_000);
    expect(await link.ask("ping")).toBe("pong");
    vi.advanceTimersByTime(30_000);
    expect(await link.closed).toBe(1001);
  });

  test("goes by the lease it was told of last", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { links, place } = await startLinks();
    const link = await openLink(place, as({ lease: 10 }));
    const told = once(link.socket, "message");
    links.hostChanged(bound.hostId, () => ({ ...news, lease: 100 }));
    await told;
    vi.advanceTimersByTime(299_000);
    expect(await link.ask("ping")).toBe("pong");
  });

  test("is told what was granted, at once when it opens and when that changes", async () => {
    const { links, place } = await startLinks({ opened: () => news });
    const link = await openLink(place);
    await until("the first news", () => link.heard.length === 1);
    links.hostChanged(bound.hostId, ({ epoch }) => ({ ...news, revision: 40 + epoch }));
    links.hostChanged("b".repeat(52), () => undefined);
    await until("the second news", () => link.heard.length === 2);
    expect(link.heard.map((text) => JSON.parse(text))).toEqual([news, { ...news, revision: 41 }]);
  });

  test("is closed when its set is another, and prolongs nothing any more though the client goes on", async () => {
    const { links, parts, place } = await startLinks();
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    links.hostChanged(bound.hostId, () => undefined);
    client.socket.write(Buffer.concat([frame(1, "ping"), frame(8, "")]));
    await once(client.socket, "close");
    expect(client.read().includes(Buffer.from([0x11, 0x39]))).toBe(true);
    expect(parts.ping).not.toHaveBeenCalled();
  });

  test("is closed with its token, and no other link is", async () => {
    const { links, place } = await startLinks();
    const [one, two] = await Promise.all([openLink(place), openLink(place, as({ tokenId: "two" }))]);
    links.closeToken("two");
    expect(await two.closed).toBe(4401);
    expect(await one.ask("ping")).toBe("pong");
  });

  test("gives way to the host's second-next one", async () => {
    const { links, place } = await startLinks();
    const oldest = await openLink(place);
    const rest = [await openLink(place, as({ epoch: 2 })), await openLink(place, as({ epoch: 3 }))];
    expect(await oldest.closed).toBe(4409);
    for (const link of rest) expect(await link.ask("ping")).toBe("pong");
    expect(links.count()).toBe(2);
  });

  test("ends with the resolver, which then takes no more", async () => {
    const { links, place } = await startLinks();
    const link = await openLink(place);
    await links.close();
    expect(await link.closed).toBe(1001);
    expect(await refusedLink(place)).toMatchObject({ status: 503 });
  });
});

describe("a client that misbehaves", () => {
  test("floods in vain: no more than 20 pings a second prolong anything", async () => {
    const { parts, place } = await startLinks({ limits: { closingMs: 50 } });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    const flood = Buffer.concat(Array.from({ length: 500 }, () => frame(1, "ping")));
    client.socket.write(flood);
    await once(client.socket, "close");
    expect(parts.ping).toHaveBeenCalledTimes(20);
    expect(client.read().includes(Buffer.from([0x03, 0xf0]))).toBe(true);
  });

  test("floods in vain with WebSocket's own pings", async () => {
    const { links, place } = await startLinks({ limits: { closingMs: 50 } });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    client.socket.write(Buffer.concat(Array.from({ length: 21 }, () => frame(9, ""))));
    await once(client.socket, "close");
    expect(client.read().includes(Buffer.from([0x03, 0xf0]))).toBe(true);
  });

  test("is cut off when it answers no close", async () => {
    const { place } = await startLinks({ limits: { closingMs: 50 } });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place, [`x-bound: {"lease":0.02}`]));
    await once(client.socket, "close");
    expect(client.read().includes(Buffer.from([0x03, 0xe9]))).toBe(true);
  });

  test("cannot hold up the end of the resolver", async () => {
    const { links, place } = await startLinks({ limits: { shutdownMs: 20 } });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    client.socket.pause();
    await links.close();
  });

  test("is cut off when it leaves unread what it is told", async () => {
    const { links, place } = await startLinks({ limits: { unread: 64 * 1024 } });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    client.socket.pause();
    const long = { ...news, hostLabel: "n".repeat(1024 * 1024) };
    await until("the link to be cut off", () => {
      links.hostChanged(bound.hostId, () => long);
      return links.count() === 0;
    });
    client.socket.destroy();
  });

  test("is forgotten when its connection breaks", async () => {
    const { links, place } = await startLinks();
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    client.socket.destroy();
    await until("the link to be gone", () => links.count() === 0);
  });

  test("is cut off when it sends no frame of WebSocket's", async () => {
    const { links, place } = await startLinks();
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the link", () => links.count() === 1);
    client.socket.write(Buffer.from([0xff, 0xff, 0, 0]));
    await until("the link to be gone", () => links.count() === 0);
  });
});

describe("a request for a link", () => {
  test("is judged by what it carries, and refused with the fault's own reply", async () => {
    const fault = new BerthError("superseded", "another process pushes for this host");
    const verify = vi.fn(() => Promise.reject(fault));
    const { place } = await startLinks({ verify });
    const { status, headers, text } = await refusedLink(place);
    expect({ status, reply: JSON.parse(text) }).toEqual({
      status: 409,
      reply: { error: { code: "superseded", message: fault.message } },
    });
    expect(headers).toMatchObject({ "content-type": "application/json", connection: "close" });
    expect(verify).toHaveBeenCalledOnce();
  });

  test("without the link's subprotocol is refused unjudged", async () => {
    const { parts, place } = await startLinks();
    const { text } = await refusedLink(place, ["berth.link.9"]);
    expect(JSON.parse(text)).toMatchObject({ error: { code: "bad-link-request" } });
    expect(parts.verify).not.toHaveBeenCalled();
  });

  test("is refused when nobody judges it in time", async () => {
    const { place } = await startLinks({
      verify: () => new Promise(() => undefined),
      limits: { judgeMs: 20 },
    });
    expect(JSON.parse((await refusedLink(place)).text)).toMatchObject({
      error: { code: "store-unavailable" },
    });
  });

  test("finds no room when there are as many links as the resolver takes", async () => {
    const { place } = await startLinks({ limits: { links: 1 } });
    const link = await openLink(place);
    expect(JSON.parse((await refusedLink(place)).text)).toMatchObject({ error: { code: "too-many-links" } });
    link.socket.terminate();
    await until("room", () => openLink(place));
  });

  test("is judged to the end though its client has gone", async () => {
    const judged = Promise.withResolvers<Bound>();
    const verify = vi.fn(() => judged.promise);
    const { links, place } = await startLinks({ verify });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place));
    await until("the judgement to begin", () => verify.mock.calls.length === 1);
    client.socket.destroy();
    await once(client.socket, "close");
    judged.resolve(bound);
    const next = await openLink(place);
    expect(await next.ask("ping")).toBe("pong");
    expect(links.count()).toBe(1);
  });

  test("is refused though its connection broke meanwhile, over plain http too", async () => {
    const judged = Promise.withResolvers<Bound>();
    const verify = vi.fn(() => judged.promise);
    const { links, place } = await startLinks({ verify });
    const at = { host: "127.0.0.1", port: 0 };
    const plain = await listenHttp(() => new Response(), at, silent, { upgrades: links });
    onTestFinished(plain.close);
    const client = connectTcp(plain.address.port, "127.0.0.1");
    client.write(upgradeOctets(place));
    await until("the judgement to begin", () => verify.mock.calls.length === 1);
    client.resetAndDestroy();
    await once(client, "close");
    judged.reject(new BerthError("superseded", ""));
    expect(await refusedLink(place)).toMatchObject({ status: 409 });
  });

  test("that was being judged when the resolver ended is refused", async () => {
    const judged = Promise.withResolvers<Bound>();
    const verify = vi.fn(() => judged.promise);
    const { links, place } = await startLinks({ verify });
    const refused = refusedLink(place);
    await until("the judgement to begin", () => verify.mock.calls.length === 1);
    await links.close();
    judged.resolve(bound);
    expect(await refused).toMatchObject({ status: 503 });
  });

  test("may have its first ping right behind it", async () => {
    const { place } = await startLinks();
    const client = await connectRaw(place);
    client.socket.write(Buffer.concat([Buffer.from(upgradeOctets(place)), frame(1, "ping")]));
    await until("the pong", () => client.read().includes("pong"));
    client.socket.destroy();
  });

  test("with junk right behind it still gets its refusal whole", async () => {
    const fault = new BerthError("superseded", "another process pushes for this host");
    const { place } = await startLinks({ verify: () => Promise.reject(fault) });
    const client = await connectRaw(place);
    client.socket.write(upgradeOctets(place) + "x".repeat(200_000));
    await once(client.socket, "close");
    expect(client.read().toString()).toMatch(/^HTTP\/1\.1 409 Conflict\r\n[\s\S]*for this host"\}\}$/);
  });

  test("at another path is not one, and answered as any request", async () => {
    const { parts, served, place } = await startLinks();
    const wrong = `/v1/hosts/${bound.hostId}/links`;
    expect(await refusedLink({ ...place, path: wrong })).toMatchObject({ status: 404, text: wrong });
    expect(served).toHaveBeenCalledOnce();
    expect(parts.verify).not.toHaveBeenCalled();
  });
});

describe("the transports' other clients", () => {
  test("speak HTTP/2 while a link is open", async () => {
    const { place } = await startLinks();
    const link = await openLink(place);
    const session = connectHttp2(`https://127.0.0.1:${place.port}`, { ca });
    const stream = session.request({ ":path": "/over-http2" });
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(404);
    session.destroy();
    expect(await link.ask("ping")).toBe("pong");
  });

  test("may ask for an upgrade to HTTP/2, which is ignored", async () => {
    const links = createLinkServer({
      verify: () => Promise.resolve(bound),
      ping: () => true,
      replyFor: () => new Response(null, { status: 500 }),
      log: silent,
    });
    const served = () => new Response("as ever");
    const transport = await listenHttp(served, { host: "127.0.0.1", port: 0 }, silent, { upgrades: links });
    onTestFinished(transport.close);
    const socket = connectTcp(transport.address.port, "127.0.0.1");
    const upgrade = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    socket.write(`GET / HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`);
    const [reply] = await once(socket, "data");
    expect(String(reply)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*as ever/);
    socket.destroy();
  });
});
