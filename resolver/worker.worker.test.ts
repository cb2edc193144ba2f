import { createExecutionContext, evictDurableObject, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";

import { EventParser, type ServerSentEvent } from "../shared/changes.ts";
import { Rcode, RRType } from "../shared/dns/constants.ts";
import { decodeResponse, encodeQuery } from "../shared/dns/message.ts";
import { parseName } from "../shared/name.ts";
import { binding } from "./store/contract/builders.ts";
import { describeTokenTable } from "./store/contract/token-tables.ts";
import { createRegistryClient } from "./worker/registry-client.ts";
import {
  ask,
  askDns,
  type Fetch,
  localUrl,
  registryStub,
  remoteUrl,
  WorkerHost,
  worker,
} from "./worker/testing/worker-bed.ts";
import berth, { type Env } from "./worker.ts";

afterEach(reset);

describe("the Worker", () => {
  test("takes a signed push and answers for it over DoH, by POST and by GET", async () => {
    const host = await WorkerHost.create();
    await host.push([binding("web", { fixed: false })]);
    expect((await askDns("_80._tcp.web", "SRV")).message?.answer[0]).toMatchObject({
      ttl: 1,
      rdata: { port: 8080 },
    });
    const query = encodeQuery(parseName("_80._tcp.web.berth.internal"), RRType.SRV);
    const message = btoa(String.fromCharCode(...query));
    const text = message.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const got = await worker(new Request(`${remoteUrl}/t/reader-token/dns-query?dns=${text}`));
    expect(got.headers.get("cache-control")).toContain("max-age=1");
    expect(decodeResponse(new Uint8Array(await got.arrayBuffer())).answer).toHaveLength(1);
  });

  test("takes renewals and withdrawals, and says what is held", async () => {
    const host = await WorkerHost.create();
    await host.push([binding("web")]);
    expect(await host.renew()).toMatchObject({ lease: 15, hostLabel: "nas" });
    const lists = ["hosts", "services", "names"].map(async (list) =>
      (await ask("reader-token", `/v1/${list}`)).json(),
    );
    const [hosts, services, names] = await Promise.all(lists);
    expect(hosts).toMatchObject({ hosts: [{ hostId: host.hostId, owner: "operator" }] });
    expect(services).toMatchObject({ services: [{ name: "web.berth.internal." }] });
    expect(names).toMatchObject({ names: [{ name: "web.berth.internal.", owner: "operator" }] });
    const live = await ask("admin-token", "/v1/names/web.berth.internal/hold", { method: "DELETE" });
    expect([live.status, await live.json()]).toMatchObject([
      409,
      { error: { code: "name-live", hosts: ["nas"] } },
    ]);
    expect((await ask("admin-token", `/v1/hosts/${host.hostId}`, { method: "DELETE" })).status).toBe(204);
    expect((await askDns("web", "A")).rcode).toBe(Rcode.NXDomain);
  });

  test("tells an agent by which address the platform saw it, whatever a client or its proxy says", async () => {
    const observed = async (headers: Record<string, string>) => {
      const response = await ask("agent-token", "/v1/observed", { headers });
      return [response.status, await response.json()];
    };
    const forwarded = { "x-forwarded-for": "203.0.113.9" };
    const seen = { "cf-connecting-ip": "198.51.100.7", ...forwarded };
    expect(await observed(seen)).toEqual([200, { address: "198.51.100.7" }]);
    expect(await observed({ "cf-connecting-ip": "2001:DB8::7" })).toEqual([200, { address: "2001:db8::7" }]);
    expect(await observed(forwarded)).toMatchObject([501, { error: { code: "not-supported" } }]);
  });

  test("refuses unknown tokens, a reader's writes, another host's key, and loopback hosts unless it is local", async () => {
    const push = (token: string) => WorkerHost.create(token).then((host) => host.push([]));
    await expect(push("wrong")).rejects.toMatchObject({ code: "unknown-token" });
    await expect(push("reader-token")).rejects.toMatchObject({ code: "token-not-allowed" });
    const [host, other] = [await WorkerHost.create(), await WorkerHost.create()];
    const local = await WorkerHost.create("agent-token", { url: localUrl });
    await expect(host.push([], "nas", "127.0.0.1")).rejects.toMatchObject({ code: "local-host-refused" });
    expect(await local.push([], "nas", "127.0.0.1")).toMatchObject({ hostLabel: "nas" });
    Object.assign(host, { access: other.access });
    await expect(host.push([])).rejects.toMatchObject({ code: "bad-signature" });
  });

  test("has no backup of its own, and says so", async () => {
    const response = await ask("admin-token", "/v1/backup");
    expect([response.status, await response.json()]).toMatchObject([
      501,
      { error: { code: "not-supported" } },
    ]);
  });

  test("does not start on settings it does not know", async () => {
    const changed = { ...env, BERTH_LOOKUP_TOKENS: "yes" };
    expect((await throughEnv(changed)(new Request(`${remoteUrl}/healthz`))).status).toBe(500);
  });
});

describe("a lookup at the Worker", () => {
  test("needs a token, in a header or in the path", async () => {
    const status = async (options: Parameters<typeof askDns>[2]) =>
      (await askDns("web", "A", options)).status;
    expect(await status({ token: "" })).toBe(401);
    expect(await status({ token: "wrong" })).toBe(401);
    expect(await status({ token: "reader-token" })).toBe(200);
    expect(await status({ token: "", prefix: "/t/agent-token" })).toBe(200);
    expect(await status({ token: "", prefix: "/t/wrong" })).toBe(401);
  });

  test("needs none in a local run, nor where the operator says so, and one there where he says that", async () => {
    const status = async (url: string, when?: string) => {
      const through = when === undefined ? worker : throughEnv({ ...env, BERTH_LOOKUP_TOKENS: when });
      return (await askDns("web", "A", { token: "", url, through })).status;
    };
    expect(await status(localUrl)).toBe(200);
    expect(await status(remoteUrl, "off")).toBe(200);
    expect(await status(localUrl, "on")).toBe(401);
  });
});

describe("a token made at the Worker", () => {
  test("speaks for hosts of its owner within its scope, until it is revoked: at once", async () => {
    const { id, token } = await createToken({ kind: "agent", owner: "team-a", scope: { names: ["*.shop"] } });
    const host = await WorkerHost.create(token);
    const { refused } = await host.push([binding("web.shop"), binding("db")]);
    expect(refused).toMatchObject([{ name: "db.berth.internal.", code: "not-allowed" }]);
    expect(await (await ask("admin-token", "/v1/tokens")).json()).toMatchObject({
      tokens: [{ id, revokedAt: null }],
    });
    expect((await ask("admin-token", `/v1/tokens/${id}`, { method: "DELETE" })).status).toBe(204);
    await expect(host.renew()).rejects.toMatchObject({ code: "token-revoked" });
  });

  test("is there after an eviction", async () => {
    const { token } = await createToken({ kind: "reader", owner: "team-a" });
    await evictDurableObject(registryStub());
    expect((await ask(token, "/v1/hosts")).status).toBe(200);
  });
});

describe("the audit record at the Worker", () => {
  test("tells of changes and of refusals", async () => {
    const host = await WorkerHost.create();
    await host.push([binding("web")]);
    await ask("wrong", "/v1/hosts");
    const listed = async () =>
      (await (await ask("admin-token", "/v1/audit")).json()) as { entries: object[] };
    const push = { action: "push", target: host.hostId, outcome: "done" };
    const refusal = { action: "sign-in", target: "GET /v1/hosts", outcome: "refused", code: "unknown-token" };
    await vi.waitFor(
      async () => {
        const { entries } = await listed();
        for (const entry of [push, refusal]) expect(entries).toContainEqual(expect.objectContaining(entry));
      },
      { timeout: 4000 },
    );
  });
});

describe("the change feed at the Worker", () => {
  test("tells what there is and then what changes, and goes on where a reader was after an eviction", async () => {
    const host = await WorkerHost.create();
    await host.push([binding("web")]);
    const feed = await openFeed();
    const snapshot = await feed.next();
    expect(wordsOf(snapshot)).toEqual(["snapshot", "web.berth.internal."]);
    await host.push([binding("web"), binding("db")]);
    expect(wordsOf(await feed.next())).toEqual(["change", "db.berth.internal."]);
    await feed.cancel();
    await evictDurableObject(registryStub());
    await host.push([binding("web"), binding("db"), binding("api")]);
    const again = await openFeed({ "last-event-id": snapshot.id });
    expect(wordsOf(await again.next())).toEqual(["change", "api.berth.internal.", "db.berth.internal."]);
    await again.cancel();
  });

  test("starts anew for a reader of another life", async () => {
    await (await WorkerHost.create()).push([binding("web")]);
    const feed = await openFeed({ "last-event-id": "before.1" });
    expect(wordsOf(await feed.next())).toEqual(["snapshot", "web.berth.internal."]);
    await feed.cancel();
  });

  test("ends when the reader's token is revoked, and is not opened for it again", async () => {
    const { id, token } = await createToken({ kind: "reader", owner: "team-a" });
    const feed = await openFeed({}, token);
    await feed.next();
    await ask("admin-token", `/v1/tokens/${id}`, { method: "DELETE" });
    await expect(feed.next()).rejects.toThrow("the feed ended");
    expect((await ask(token, "/v1/changes")).status).toBe(401);
  });
});

describeTokenTable("the registry object", async () => {
  await reset();
  const { tokenTable, audit } = createRegistryClient(registryStub);
  const announced: string[] = [];
  // What watches is in the object; here it is enough that it was told what the promise says.
  const table: typeof tokenTable = {
    ...tokenTable,
    async revoke(id, now, entry) {
      const before = await tokenTable.find(id);
      const isKnown = await tokenTable.revoke(id, now, entry);
      if (isKnown && before?.revokedAt === null) announced.push(id);
      return isKnown;
    },
  };
  return { table, announced, actions: async () => (await audit.list(100)).map(({ action }) => action) };
});

function throughEnv(changed: Env): Fetch {
  return async (request) =>
    berth.fetch(request as Parameters<typeof berth.fetch>[0], changed, createExecutionContext());
}

async function createToken(fields: object): Promise<{ id: string; token: string }> {
  const response = await ask("admin-token", "/v1/tokens", { method: "POST", body: JSON.stringify(fields) });
  expect(response.status).toBe(201);
  return response.json();
}

async function openFeed(headers: Record<string, string> = {}, token = "reader-token") {
  const response = await ask(token, "/v1/changes", { headers });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const parser = new EventParser();
  const ready: ServerSentEvent[] = [];
  async function next(): Promise<ServerSentEvent> {
    for (;;) {
      const first = ready.shift();
      if (first !== undefined) return first;
      const { done, value } = await reader.read();
      if (done) throw new Error("the feed ended");
      ready.push(...parser.push(new TextDecoder().decode(value)));
    }
  }
  return { next, cancel: () => reader.cancel() };
}

/** The kind of event, and the names in it. */
function wordsOf({ event, data }: ServerSentEvent): string[] {
  const { services } = JSON.parse(data) as { services: { name: string }[] };
  return [event, ...services.map(({ name }) => name)];
}
