import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";

import { dnsMessageType } from "./dns/doh.ts";
import { decodeQuery, encodeResponse } from "./dns/message.ts";
import { type QueryOptions, queryDoh } from "./doh-client.ts";
import { describeFault } from "./errors.ts";
import { parseName } from "./name.ts";
import { listHosts, listServices, pushBindings, renewLease, withdrawHost } from "./resolver-client.ts";

interface Seen {
  method: string;
  url: string;
  headers: Record<string, unknown>;
  body: Buffer;
}

/** A loopback peer that remembers what it was asked. */
async function startPeer(reply: (seen: Seen, respond: Parameters<RequestListener>[1]) => void) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks) };
      seen.push(one);
      reply(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { seen, url: `http://127.0.0.1:${port}` };
}

async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const json = { "content-type": "application/json" };
const name = parseName("web.berth.internal");
const hostId = "a".repeat(52);
const pushReply = { lease: 15, revision: 3, grantsRevision: 2, hostLabel: "nas", refused: [] };
const turn = { epoch: 1, sequence: 1, lease: 15, digest: "0".repeat(64) };
const declared = { hostLabel: "nas", addresses: [], local: false, bindings: [], problems: [] };
const push = { ...turn, declared };

describe("queryDoh", () => {
  const ask = (url: string, options: QueryOptions = {}, timeoutMs = 5000) =>
    queryDoh({ fetch, url: `${url}/dns-query`, timeoutMs }, name, 1, options);

  test.each([0, 3, 5])("resolves to the answer, rcode %i too", async (rcode) => {
    const peer = await startPeer((seen, response) => {
      const parts = { rcode, authoritative: true, answer: [], authority: [], additional: [] };
      response.writeHead(200, { "content-type": dnsMessageType });
      response.end(encodeResponse(decodeQuery(seen.body), parts));
    });
    expect((await ask(peer.url, { fresh: true })).rcode).toBe(rcode);
    expect(decodeQuery(peer.seen[0]?.body ?? Buffer.alloc(0)).question).toMatchObject({ name, type: 1 });
    expect(peer.seen[0]?.headers["cache-control"]).toBe("no-cache");
  });

  test("says who did not answer in time, be it silent from the start or in the middle", async () => {
    for (const begins of [false, true]) {
      const peer = await startPeer((_, response) => {
        if (begins) response.writeHead(200, { "content-type": dnsMessageType }).write("x");
      });
      await expect(ask(peer.url, {}, 100)).rejects.toMatchObject({ code: "doh-failed", retryable: true });
    }
  });

  test("is called off by its caller", async () => {
    const controller = new AbortController();
    const peer = await startPeer(() => controller.abort());
    await expect(ask(peer.url, { signal: controller.signal })).rejects.toMatchObject({ code: "doh-failed" });
  });

  test("reads no more than a DNS message from a peer without end", async () => {
    const peer = await startPeer((_, response) => {
      response.writeHead(200, { "content-type": dnsMessageType });
      const write = (): boolean => response.writable && response.write(Buffer.alloc(60_000)) && write();
      response.on("drain", write);
      write();
    });
    await expect(ask(peer.url)).rejects.toMatchObject({ code: "body-too-large" });
  });

  test("says who cannot be reached", async () => {
    const url = await closedPort();
    await expect(ask(url)).rejects.toMatchObject({
      code: "doh-failed",
      retryable: true,
      message: expect.stringContaining(url),
    });
  });

  test.each([
    ["a page", 200, "text/html", "<html>", "doh-failed"],
    ["an error", 500, dnsMessageType, "", "doh-failed"],
    ["octets that are no message", 200, dnsMessageType, "x", "malformed-message"],
  ])("refuses %s, and says whose it is", async (_, status, type, body, code) => {
    const peer = await startPeer((_seen, response) =>
      response.writeHead(status, { "content-type": type }).end(body),
    );
    const message = expect.stringContaining(`${peer.url}/dns-query`);
    await expect(ask(peer.url)).rejects.toMatchObject({ code, message, who: `${peer.url}/dns-query` });
  });

  test.each([301, 302, 303, 307, 308])("does not follow a redirect (%i)", async (status) => {
    const other = await startPeer((_, response) => response.end());
    const peer = await startPeer((_, response) => response.writeHead(status, { location: other.url }).end());
    const fault = await ask(peer.url).catch((thrown: unknown) => thrown);
    expect(fault).toMatchObject({ code: "doh-failed", retryable: false });
    expect(describeFault(fault)).toContain(`HTTP ${status}`);
    expect(other.seen).toEqual([]);
  });
});

describe("the resolver client", () => {
  const access = (url: string, timeoutMs = 5000) => ({ fetch, url, token: "secret-token", timeoutMs });

  test("pushes, renews and withdraws with its token", async () => {
    const peer = await startPeer((seen, response) => {
      if (seen.method === "DELETE") response.writeHead(204).end();
      else response.writeHead(200, json).end(JSON.stringify(pushReply));
    });
    expect(await pushBindings(access(peer.url), hostId, push)).toEqual(pushReply);
    expect(await renewLease(access(peer.url), hostId, turn)).toEqual(pushReply);
    expect(await withdrawHost(access(peer.url), hostId)).toBe(true);
    expect(peer.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `PUT /v1/hosts/${hostId}`,
      `PUT /v1/hosts/${hostId}/lease`,
      `DELETE /v1/hosts/${hostId}`,
    ]);
    const { lease, digest } = turn;
    expect(JSON.parse(String(peer.seen[0]?.body))).toEqual({ lease, digest, declared });
    for (const { headers } of peer.seen) expect(headers.authorization).toBe("Bearer secret-token");
  });

  test("lists hosts and services", async () => {
    const lists = { revision: 1, hosts: [], zone: "berth.internal", services: [] };
    const peer = await startPeer((_, response) => response.writeHead(200, json).end(JSON.stringify(lists)));
    expect(await listHosts(access(peer.url))).toEqual({ revision: 1, hosts: [] });
    expect(await listServices(access(peer.url))).toEqual({
      revision: 1,
      zone: "berth.internal.",
      services: [],
    });
  });

  test.each([
    [409, "superseded", { heldEpoch: 7, leaseRemaining: 12 }, false],
    [409, "unknown-digest", {}, false],
    [401, "unknown-token", {}, false],
    [500, "internal", {}, true],
  ])("hands on the resolver's own %i %s with its facts", async (status, code, facts, retryable) => {
    const error = { code, message: "because", ...facts };
    const peer = await startPeer((_, response) =>
      response.writeHead(status, json).end(JSON.stringify({ error })),
    );
    const fault = await pushBindings(access(peer.url), hostId, push).catch((thrown: unknown) => thrown);
    expect(fault).toMatchObject({
      code,
      facts,
      retryable,
      who: peer.url,
      message: expect.stringContaining("because"),
    });
    expect(String(fault)).not.toContain("secret-token");
  });

  test("shows the first faults of a body that was refused", async () => {
    const faults = ["a", "b", "c", "d"].map((path) => ({ path, message: "is wrong" }));
    const error = { code: "invalid-body", message: "4 values", faults };
    const peer = await startPeer((_, response) =>
      response.writeHead(422, json).end(JSON.stringify({ error })),
    );
    const message = await pushBindings(access(peer.url), hostId, push).catch(
      (thrown: Error) => thrown.message,
    );
    expect(message).toContain("c: is wrong");
    expect(message).not.toContain("d: is wrong");
  });

  test("tells a withdrawal of nothing from a page that is not berth's", async () => {
    const error = { code: "unknown-host", message: "nothing is held" };
    const none = await startPeer((_, response) =>
      response.writeHead(404, json).end(JSON.stringify({ error })),
    );
    expect(await withdrawHost(access(none.url), hostId)).toBe(false);
    const other = await startPeer((_, response) => response.writeHead(200).end("ok"));
    await expect(withdrawHost(access(other.url), hostId)).rejects.toMatchObject({ code: "bad-reply" });
  });

  test.each([
    ["a page", 200, "<html>"],
    ["an error page", 502, "<html>"],
    ["another program's JSON", 200, '{"ok":true}'],
    ["an error of another shape", 400, '{"message":"no"}'],
  ])("says that %s is not a berth resolver's", async (_, status, body) => {
    const peer = await startPeer((_seen, response) => response.writeHead(status, json).end(body));
    const fault = { code: "bad-reply", message: expect.stringContaining(peer.url) };
    await expect(listHosts(access(peer.url))).rejects.toMatchObject(fault);
    await expect(pushBindings(access(peer.url), hostId, push)).rejects.toMatchObject(fault);
  });

  test.each([301, 302, 303, 307, 308])("does not follow a redirect (%i)", async (status) => {
    const other = await startPeer((_, response) => response.writeHead(204).end());
    // The body would do as a reply.
    const body = JSON.stringify({ ...pushReply, hosts: [] });
    const peer = await startPeer((_, response) =>
      response.writeHead(status, { ...json, location: other.url }).end(body),
    );
    const fault = { code: "bad-reply", message: expect.stringContaining(`HTTP ${status}`) };
    await expect(pushBindings(access(peer.url), hostId, push)).rejects.toMatchObject(fault);
    await expect(withdrawHost(access(peer.url), hostId)).rejects.toMatchObject(fault);
    await expect(listHosts(access(peer.url))).rejects.toMatchObject(fault);
    expect(other.seen).toEqual([]);
  });

  test("says that it cannot be reached, or was silent, be it from the start or in the middle", async () => {
    const unreachable = { code: "resolver-unreachable", retryable: true };
    await expect(listHosts(access(await closedPort()))).rejects.toMatchObject(unreachable);
    for (const begins of [false, true]) {
      const peer = await startPeer((_, response) => {
        if (begins) response.writeHead(200, json).write('{"rev');
      });
      await expect(listHosts(access(peer.url, 100)), `begins: ${begins}`).rejects.toMatchObject(unreachable);
    }
  });
});
