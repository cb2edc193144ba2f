import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { binding } from "../store/contract/builders.ts";
import type { RegistryObject } from "../store/durable-object.ts";
import { accessOf } from "../testing/tokens.ts";
import { createRegistryClient } from "./registry-client.ts";
import { ask, registryStub, WorkerHost } from "./testing/worker-bed.ts";

// Ahead of the real clock: the runtime fires alarms by that one, and here only the tests may.
const start = Date.UTC(2100, 0, 1);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(start);
});

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

describe("a request for a link", () => {
  test("is answered with a link that tells what is granted, and answers pings", async () => {
    const { host, link } = await openHost();
    await link.ping();
    expect(link.grants()).toMatchObject([{ lease: 15, hostLabel: "nas", refused: [] }]);
    expect((await hosts())[0]).toMatchObject({ hostId: host.hostId, leaseRemaining: 15 });
  });

  test("prolongs the lease as a renewal does", async () => {
    const host = await pushedHost();
    vi.setSystemTime(start + 10_000);
    await host.openLink();
    expect((await hosts())[0]?.leaseRemaining).toBe(15);
  });

  test.each<[string, number, string, (host: WorkerHost) => Promise<Response>]>([
    [
      "without the subprotocol",
      400,
      "bad-link-request",
      (host) => host.upgrade({ "sec-websocket-protocol": "x" }),
    ],
    ["with a made-up token", 401, "unknown-token", (host) => host.upgrade({ authorization: "Bearer x" })],
    [
      "with a reader's token",
      403,
      "token-not-allowed",
      (host) => host.upgrade({ authorization: "Bearer reader-token" }),
    ],
    [
      "with another lease than it was signed for",
      401,
      "bad-signature",
      (host) => host.upgrade({ "berth-lease": "9" }),
    ],
    [
      "for a set that is not held",
      409,
      "unknown-digest",
      (host) => {
        host.digest = "1".repeat(64);
        return host.upgrade();
      },
    ],
    [
      "of an earlier process",
      409,
      "superseded",
      async (host) => {
        await host.inEpoch(2).push([]);
        return host.upgrade();
      },
    ],
    [
      "signed for another life of the registry",
      401,
      "unknown-generation",
      (host) => {
        host.access.generation.current = "before";
        return host.upgrade();
      },
    ],
  ])("%s is refused as a renewal would be: %i %s", async (_, status, code, upgrade) => {
    const response = await upgrade(await pushedHost());
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect(response.webSocket).toBeNull();
  });

  test("that was answered once is not answered again", async () => {
    const host = await pushedHost();
    await host.openLink();
    host.sequence--;
    const replayed = await host.upgrade();
    expect([replayed.status, await replayed.json()]).toMatchObject([409, { error: { code: "superseded" } }]);
  });

  test("under a token for other hosts is refused", async () => {
    const text = await createToken({ scope: { hosts: ["attic"] } });
    const host = await pushedHost();
    host.access.token = text;
    const response = await host.upgrade();
    expect([response.status, await response.json()]).toMatchObject([
      403,
      { error: { code: "host-not-allowed" } },
    ]);
  });
});

describe("a token that stopped being good on the way to the object", () => {
  /** As the Worker asks when it judged the token before that. */
  async function asked(after: (made: { id: string; token: string }) => Promise<unknown>) {
    const made = await created({ expiresIn: 60 });
    const host = await WorkerHost.create(made.token);
    await host.push([binding("web")]);
    const { generation } = host.access;
    const expiry = { expiresAt: start + 60_000 };
    const access = { ...accessOf("agent", { tokenId: made.id }), owner: "operator", ...expiry };
    const turn = { epoch: 1, sequence: host.sequence + 1, generation: generation.current };
    const renewal = { ...turn, lease: 15, digest: host.digest };
    await after(made);
    return createRegistryClient(registryStub).openLink({ hostId: host.hostId, renewal, access });
  }

  test("opens one while it is good", async () => {
    expect((await asked(async () => undefined)).kind).toBe("opened");
  });

  test("opens none when it was revoked, and prolongs no lease", async () => {
    const revoked = asked(async ({ id }) => {
      vi.setSystemTime(start + 5000);
      await ask("admin-token", `/v1/tokens/${id}`, { method: "DELETE" });
    });
    await expect(revoked).rejects.toMatchObject({
      code: "token-revoked",
      who: expect.stringMatching(/^token /),
    });
    expect((await hosts())[0]?.leaseRemaining).toBe(10);
    expect(await openSockets()).toBe(0);
  });

  test("opens none when it expired, nor when the object does not know it", async () => {
    const expired = asked(async () => vi.setSystemTime(start + 60_000));
    await expect(expired).rejects.toMatchObject({ code: "token-expired" });
    vi.setSystemTime(start);
    const unknown = asked(async () => {
      await runInDurableObject(
        registryStub(),
        (_, { storage }) => void storage.sql.exec("DELETE FROM tokens"),
      );
      await evictDurableObject(registryStub());
    });
    await expect(unknown).rejects.toMatchObject({ code: "unknown-token" });
    expect(await openSockets()).toBe(0);
  });
});

describe("a link's pings", () => {
  test("prolong the lease without a row written, sweeps aside", async () => {
    const { link } = await openHost();
    await runDurableObjectAlarm(registryStub());
    await evictDurableObject(registryStub());
    for (let second = 5; second <= 60; second += 5) {
      vi.setSystemTime(start + second * 1000);
      await link.ping();
      await pingedAt(Date.now());
    }
    const rows = await runInDurableObject(registryStub(), (object: RegistryObject) => ({ ...object.rows }));
    expect(rows.written).toBe(0);
    expect((await hosts())[0]?.leaseRemaining).toBe(15);
  });

  test("keep it past what is stored, with one look in two thirds of a lease", async () => {
    await openHost();
    await runDurableObjectAlarm(registryStub());
    expect(await alarmAt()).toBe(start + 15_000);
    for (let second = 5; second <= 15; second += 5) await pingedAt(start + second * 1000);
    for (const [fires, next] of [
      [15, 30],
      [30, 45],
    ] as const) {
      vi.setSystemTime(start + fires * 1000);
      await pingedAt(start + fires * 1000);
      expect(await runDurableObjectAlarm(registryStub())).toBe(true);
      expect(await hosts()).toHaveLength(1);
      expect(await alarmAt()).toBe(start + next * 1000);
    }
  });

  test("keep it no longer than a lease after the last one", async () => {
    const { link } = await openHost();
    await pingedAt(start + 14_000);
    vi.setSystemTime(start + 15_000);
    await runDurableObjectAlarm(registryStub());
    await runDurableObjectAlarm(registryStub());
    expect(await alarmAt()).toBe(start + 29_000);
    vi.setSystemTime(start + 29_000 - 1);
    expect(await hosts()).toHaveLength(1);
    vi.setSystemTime(start + 29_000);
    await runDurableObjectAlarm(registryStub());
    expect(await link.closed).toBe(4409);
    expect(await hosts()).toEqual([]);
  });

  test("count after an eviction, from what stayed with the socket", async () => {
    await openHost();
    await evictDurableObject(registryStub());
    await pingedAt(start + 14_000);
    vi.setSystemTime(start + 20_000);
    await runDurableObjectAlarm(registryStub());
    expect((await hosts())[0]?.leaseRemaining).toBe(9);
  });

  test("of a process that speaks for the host no more count for nothing", async () => {
    const { host, link } = await openHost();
    const next = host.inEpoch(2);
    await next.push([binding("web")]);
    expect(await link.closed).toBe(4409);
    await pingedAt(start + 14_000);
    vi.setSystemTime(start + 15_000);
    await runDurableObjectAlarm(registryStub());
    expect(await hosts()).toEqual([]);
  });

  test("lower no TTL while they come", async () => {
    await openHost();
    await pingedAt(start + 14_000);
    vi.setSystemTime(start + 14_500);
    const { rrsets } = await registryStub().read("_80._tcp.web.berth.internal.");
    expect(rrsets.map(({ ttl }) => ttl)).toEqual([5]);
  });
});

describe("a link that closes", () => {
  test("withdraws nothing: the lease runs on from the last ping", async () => {
    const { link } = await openHost();
    await pingedAt(start + 10_000);
    vi.setSystemTime(start + 12_000);
    link.socket.close(1000);
    expect(await link.closed).toBe(1000);
    expect((await hosts())[0]?.leaseRemaining).toBe(13);
    vi.setSystemTime(start + 25_000);
    await runDurableObjectAlarm(registryStub());
    await runDurableObjectAlarm(registryStub());
    expect(await hosts()).toEqual([]);
  });

  test("because the object closed it leaves the lease as its pings had it", async () => {
    const { link } = await openHost();
    await pingedAt(start + 10_000);
    vi.setSystemTime(start + 12_000);
    link.socket.send("hello");
    expect(await link.closed).toBe(1003);
    expect((await hosts())[0]?.leaseRemaining).toBe(13);
  });
});

describe("a link by the runtime's own clock", () => {
  test("leaves the lease by its last ping when the client closes it", async () => {
    vi.useRealTimers();
    const { host, link } = await openHost();
    const before = await storedExpiry(host.hostId);
    // A moment later by a clock of whole milliseconds.
    await vi.waitUntil(() => Date.now() + 15_000 > before + 10);
    await link.ping();
    link.socket.close(1000);
    await link.closed;
    expect(await storedExpiry(host.hostId)).toBeGreaterThan(before);
  });
});

describe("the object closes a link", () => {
  test.each([false, true])(
    "when its token is revoked, with 4401 (after an eviction: %s)",
    async (isEvicted) => {
      const { link, tokenId } = await openHost({ ownToken: true });
      if (isEvicted) await evictDurableObject(registryStub());
      expect((await ask("admin-token", `/v1/tokens/${tokenId}`, { method: "DELETE" })).status).toBe(204);
      expect(await link.closed).toBe(4401);
    },
  );

  test.each([false, true])("when its token expires, with 4401 (after an eviction: %s)", async (isEvicted) => {
    const { link } = await openHost({ ownToken: true, expiresIn: 60, lease: 3600 });
    if (isEvicted) await evictDurableObject(registryStub());
    await runDurableObjectAlarm(registryStub());
    expect(await alarmAt()).toBe(start + 60_000);
    vi.setSystemTime(start + 60_000);
    await runDurableObjectAlarm(registryStub());
    expect(await link.closed).toBe(4401);
  });

  test("when its token expires, a second later when that could not be written down", async () => {
    const { link } = await openHost({ ownToken: true, expiresIn: 60 });
    await runDurableObjectAlarm(registryStub());
    const sql = (query: string) =>
      runInDurableObject(registryStub(), (_, { storage }) => void storage.sql.exec(query));
    await pingedAt(start + 59_000);
    vi.setSystemTime(start + 60_000);
    await sql("CREATE TRIGGER full BEFORE INSERT ON leases BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    await runDurableObjectAlarm(registryStub());
    expect(await alarmAt()).toBe(start + 61_000);
    await sql("DROP TRIGGER full");
    vi.setSystemTime(start + 61_000);
    await runDurableObjectAlarm(registryStub());
    expect(await link.closed).toBe(4401);
  });

  test("when the host has a third one: the oldest, with 4409", async () => {
    const { host, link } = await openHost();
    vi.setSystemTime(start + 1);
    const second = await host.openLink();
    vi.setSystemTime(start + 2);
    const third = await host.openLink();
    expect(await link.closed).toBe(4409);
    await Promise.all([second.ping(), third.ping()]);
    expect(await openSockets()).toBe(2);
  });

  test("that says anything but ping, with 1003", async () => {
    for (const message of ["pong", "x".repeat(100_000), new Uint8Array(4)]) {
      const { link } = await openHost();
      link.socket.send(message);
      expect(await link.closed).toBe(1003);
    }
  });

  test("when its host is withdrawn or lapses, with 4409", async () => {
    const { host, link } = await openHost();
    expect((await ask("admin-token", `/v1/hosts/${host.hostId}`, { method: "DELETE" })).status).toBe(204);
    expect(await link.closed).toBe(4409);
  });

  test("of another life of the registry, with 4409, as soon as it wakes up", async () => {
    const { link } = await openHost();
    await runInDurableObject(registryStub(), (_, { storage }) => {
      storage.sql.exec("UPDATE registry SET generation = 'another'");
    });
    await evictDurableObject(registryStub());
    await hosts();
    expect(await link.closed).toBe(4409);
  });
});

describe("an open link", () => {
  test("stays when its own process pushes, and is told what is granted then", async () => {
    const { host, link } = await openHost();
    const { revision } = await host.push([binding("web"), binding("db")]);
    await link.ping();
    expect(link.grants().map((grant) => grant.revision)).toEqual([revision - 1, revision]);
  });

  test("is told when others' doings change what its host is granted, after an eviction too", async () => {
    const first = await WorkerHost.create();
    await first.push([binding("postgres", { rule: "container" })], "attic");
    const { link } = await openHost({ rule: "container", name: "postgres" });
    await evictDurableObject(registryStub());
    await ask("admin-token", `/v1/hosts/${first.hostId}`, { method: "DELETE" });
    await link.ping();
    const [before, after] = link.grants();
    expect([before?.refused.length, after?.refused.length]).toEqual([1, 0]);
    expect(after?.grantsRevision).toBeGreaterThan(before?.grantsRevision ?? 0);
  });
});

async function pushedHost(): Promise<WorkerHost> {
  const host = await WorkerHost.create();
  await host.push([binding("web")]);
  return host;
}

async function createToken(fields: object): Promise<string> {
  return (await created(fields)).token;
}

async function created(fields: object): Promise<{ id: string; token: string }> {
  const body = JSON.stringify({ kind: "agent", owner: "operator", ...fields });
  const response = await ask("admin-token", "/v1/tokens", { method: "POST", body });
  expect(response.status).toBe(201);
  return response.json();
}

async function openHost({
  ownToken = false,
  expiresIn = undefined as number | undefined,
  lease = 15,
  rule = "compose" as "compose" | "container",
  name = "web",
} = {}) {
  const token = ownToken
    ? await created(expiresIn === undefined ? {} : { expiresIn })
    : { id: "bootstrap-agent", token: "agent-token" };
  const host = await WorkerHost.create(token.token);
  host.lease = lease;
  await host.push([binding(name, { rule })]);
  const link = await host.openLink();
  return { host, link, tokenId: token.id };
}

/** The runtime stamps pings by its own clock: here the stamp of all open links says `at`. */
async function pingedAt(at: number): Promise<void> {
  await runInDurableObject(registryStub(), (_object, state) => {
    const stamp = vi.spyOn(state, "getWebSocketAutoResponseTimestamp").mockReturnValue(new Date(at));
    onTestFinished(() => stamp.mockRestore());
  });
}

/** Without what links do for it. */
async function storedExpiry(hostId: string): Promise<number> {
  return runInDurableObject(registryStub(), (_, { storage }) => {
    const row = storage.sql.exec("SELECT expires_at FROM leases WHERE host_id = ?", hostId).one();
    return Number(row.expires_at);
  });
}

async function openSockets(): Promise<number> {
  return runInDurableObject(registryStub(), (_, state) => state.getWebSockets().length);
}

async function hosts() {
  return (await registryStub().hosts()).hosts;
}

function alarmAt(): Promise<number | null> {
  return runInDurableObject(registryStub(), (_, state) => state.storage.getAlarm());
}
