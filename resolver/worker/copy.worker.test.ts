import {
  createExecutionContext,
  evictDurableObject,
  reset,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { Rcode } from "../../shared/dns/constants.ts";
import { BerthError } from "../../shared/errors.ts";
import { parseName } from "../../shared/name.ts";
import { portsOfName } from "../../shared/resolver-client.ts";
import { below, binding } from "../store/contract/builders.ts";
import berth, { type Env } from "../worker.ts";
import {
  accessTo,
  ask,
  askDns,
  type Fetch,
  localUrl,
  registryStub,
  remoteUrl,
  WorkerHost,
} from "./testing/worker-bed.ts";

// Ahead of the real clock: the runtime fires alarms by that one, and here only the tests may.
const start = Date.UTC(2100, 0, 1);
const srv = "_80._tcp.web";
const key = `${srv}.berth.internal.`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(start);
});

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

describe("names on the way to Workers KV", () => {
  test("that change twice within a second are written once in it, and then as they are last", async () => {
    const writes = recordWrites();
    const host = await pushed(8080);
    await runAlarm();
    expect(writes(key)).toEqual([start]);
    for (const port of [8081, 8082]) {
      vi.setSystemTime(Date.now() + 200);
      await host.push([binding("web", { port })]);
      await runAlarm();
    }
    expect(writes(key)).toEqual([start]);
    expect(await alarmAt()).toBe(start + 1000);
    vi.setSystemTime(start + 1000);
    await runAlarm();
    expect(writes(key)).toEqual([start, start + 1000]);
    expect(await env.ZONE.get(key)).toContain('"port":8082');
  });

  test("are not written twice in a second across an eviction either", async () => {
    const writes = recordWrites();
    const host = await pushed(8080);
    await runAlarm();
    vi.setSystemTime(start + 300);
    await host.push([binding("web", { port: 8081 })]);
    await evictDurableObject(registryStub());
    await runAlarm();
    expect(writes(key)).toEqual([start]);
    expect(await alarmAt()).toBe(start + 1000);
    vi.setSystemTime(start + 1000);
    await runAlarm();
    expect(writes(key)).toHaveLength(2);
  });

  test("come there by 500 operations at a time", async () => {
    const put = vi.spyOn(env.ZONE, "put").mockResolvedValue();
    onTestFinished(() => put.mockRestore());
    const host = await WorkerHost.create();
    await host.push(Array.from({ length: 400 }, (_, index) => binding(`s${index}`)));
    await runAlarm();
    expect(put.mock.calls).toHaveLength(500);
    await runAlarm();
    expect(put.mock.calls).toHaveLength(1000);
    expect(new Set(put.mock.calls.map(([owner]) => owner)).size).toBe(put.mock.calls.length);
  });

  test("are tried again when KV refuses them, ever more rarely, and never given up", async () => {
    const put = vi
      .spyOn(env.ZONE, "put")
      .mockRejectedValue(new Error("KV PUT failed: 429 Too Many Requests"));
    onTestFinished(() => put.mockRestore());
    const host = await WorkerHost.create();
    host.lease = 3600;
    await host.push([binding("web")]);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      await runAlarm();
      waits.push(((await alarmAt()) ?? 0) - Date.now());
      vi.setSystemTime((await alarmAt()) ?? 0);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000));
    put.mockRestore();
    await runAlarm();
    expect(await env.ZONE.get(key)).toContain('"port":8080');
  });

  test("are tried again when the object cannot write down that it copies, and the alarm goes on", async () => {
    const writes = recordWrites();
    const sql = (query: string) =>
      runInDurableObject(registryStub(), (_, { storage }) => void storage.sql.exec(query));
    const host = await WorkerHost.create();
    host.lease = 3600;
    await host.push([binding("web")]);
    await sql(
      "CREATE TRIGGER full BEFORE UPDATE OF copied_at ON registry BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    const waits: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      await runAlarm();
      waits.push(((await alarmAt()) ?? 0) - Date.now());
      vi.setSystemTime((await alarmAt()) ?? 0);
    }
    expect(waits).toEqual([1000, 2000, 4000]);
    await sql("DROP TRIGGER full");
    await runAlarm();
    expect(writes(key)).toEqual([Date.now()]);
  });

  test("wait for one that is slow, and hold up no lapse meanwhile", async () => {
    const { promise: isDone, resolve: finish } = Promise.withResolvers<void>();
    const put = vi.spyOn(env.ZONE, "put").mockReturnValue(isDone);
    onTestFinished(() => put.mockRestore());
    const host = await pushed(8080);
    await runAlarm();
    const written = put.mock.calls.length;
    vi.setSystemTime(start + 15_000);
    await runAlarm();
    expect((await registryStub().hosts()).hosts).toEqual([]);
    await host.push([binding("web", { port: 8081 })]);
    vi.setSystemTime(start + 20_000);
    await runAlarm();
    expect(put.mock.calls, "the same names are not written while they are being written").toHaveLength(
      written,
    );
    put.mockRestore();
    finish();
    await vi.waitFor(async () => {
      vi.setSystemTime(Date.now() + 1000);
      await runAlarm();
      expect(await env.ZONE.get(key)).toContain('"port":8081');
    });
  }, 20_000);
});

describe("the Worker at an edge whose KV is a minute old", () => {
  test("never has an ephemeral port from KV", async () => {
    const { through, get } = edge();
    const host = await WorkerHost.create();
    await host.push([binding("web", { port: 32768, fixed: false })]);
    await runAlarm();
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([32768]);
    await host.push([binding("web", { port: 32769, fixed: false })]);
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([32769]);
    expect(get.values()).toEqual([]);
  });

  test("does not serve a fixed port any more once a minute is over after it became ephemeral", async () => {
    const { through } = edge();
    const host = await pushed(8080);
    await runAlarm();
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([8080]);
    host.lease = 3600;
    await host.push([binding("web", { port: 32768, fixed: false })]);
    vi.setSystemTime(start + 1000);
    await runAlarm();
    // The port that was fixed until then is the same service's still, as far as anybody can know.
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([8080]);
    vi.setSystemTime(start + 61_000);
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([32768]);
  });

  test("never has from KV that a name is there without addresses, and finds them when it has some", async () => {
    const { through, get } = edge();
    const host = await WorkerHost.create();
    await host.push([binding("web", { health: "starting" })]);
    await runAlarm();
    const [at, below] = [await askDns("web", "A", { through }), await askDns(srv, "SRV", { through })];
    expect([at.rcode, at.message?.answer, below.rcode]).toEqual([Rcode.NoError, [], Rcode.NXDomain]);
    expect(get.values()).toEqual([]);
    vi.setSystemTime(start + 1000);
    await host.push([binding("web", { health: "healthy" })]);
    expect((await askDns("web", "A", { through })).message?.answer).toHaveLength(1);
  });

  test("asks the object before it says that a name does not exist", async () => {
    const { through } = edge();
    expect((await askDns(srv, "SRV", { through })).rcode).toBe(Rcode.NXDomain);
    await pushed(8080);
    await runAlarm();
    // KV goes on saying that there is nothing.
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([8080]);
  });

  test("asks the object before it says that a token is unknown", async () => {
    const { through } = edge();
    await pushed(8080);
    const { id, token } = await createToken();
    expect((await askDns(srv, "SRV", { through, token })).status).toBe(200);
    expect((await askDns(srv, "SRV", { through, token: `${token}x` })).status).toBe(401);
    await registryStub().revokeToken(id, Date.now(), entryOf(id));
    vi.setSystemTime(Date.now() + 29_999);
    expect((await askDns(srv, "SRV", { through, token })).status, "remembered for 30 s").toBe(200);
    vi.setSystemTime(Date.now() + 1);
    expect((await askDns(srv, "SRV", { through, token })).status).toBe(401);
  });

  test("goes to the object for Cache-Control: no-cache", async () => {
    const { through } = edge();
    const host = await pushed(8080);
    await runAlarm();
    await askDns(srv, "SRV", { through });
    await host.push([binding("web", { port: 8081 })]);
    const headers = { "cache-control": "no-cache" };
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([8080]);
    expect((await askDns(srv, "SRV", { through, headers })).ports).toEqual([8081]);
  });

  test("no longer answers for a host a minute after its lease, and the object none after it", async () => {
    const { through } = edge();
    await pushed(8080);
    await runAlarm();
    await askDns(srv, "SRV", { through });
    vi.setSystemTime(start + 15_000);
    await runAlarm();
    await runAlarm();
    const headers = { "cache-control": "no-cache" };
    expect((await askDns(srv, "SRV", { through, headers })).rcode).toBe(Rcode.NXDomain);
    vi.setSystemTime(start + 15_000 + 60_000);
    expect((await askDns(srv, "SRV", { through })).rcode).toBe(Rcode.NXDomain);
  });
});

describe("the Worker while the object cannot be reached", () => {
  test("answers from KV, and says of a fresh answer that it is stale", async () => {
    await pushed(8080);
    await runAlarm();
    const { through } = edge({ isObjectDown: true });
    expect(await askDns(srv, "SRV", { through })).toMatchObject({ ports: [8080], isStale: false });
    const headers = { "cache-control": "no-cache" };
    expect(await askDns(srv, "SRV", { through, headers })).toMatchObject({ ports: [8080], isStale: true });
  });

  test("answers from KV for a created token that was good within ten minutes, until the object says otherwise", async () => {
    const host = await WorkerHost.create();
    host.lease = 3600;
    await host.push([binding("web")]);
    await runAlarm();
    const { id, token } = await createToken();
    const place = edge();
    const status = async () => (await askDns(srv, "SRV", { through: place.through, token })).status;
    expect(await status()).toBe(200);
    place.setObjectDown(true);
    vi.setSystemTime(start + 599_999);
    expect(await status(), "for ten minutes").toBe(200);
    const unseen = await askDns(srv, "SRV", { through: place.through, token: `${token.slice(0, -1)}_` });
    expect(unseen.status, "not for others").toBe(503);
    vi.setSystemTime(start + 600_000);
    expect(await status(), "and no longer").toBe(503);
    place.setObjectDown(false);
    expect(await status()).toBe(200);
    await registryStub().revokeToken(id, Date.now(), entryOf(id));
    vi.setSystemTime(start + 700_000);
    expect(await status()).toBe(401);
    place.setObjectDown(true);
    expect(await status(), "a revocation is not forgotten").toBe(503);
  });

  test.each(["retryable", "overloaded", "durableObjectReset"])(
    "says to come back when the platform marks a fault as %s, whoever threw it",
    async (mark) => {
      const { through } = edge({ isObjectDown: true, marks: { remote: true, [mark]: true } });
      const response = await ask("reader-token", "/v1/hosts", {}, through);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
    },
  );

  test("calls what the object's own code threw a fault of the resolver", async () => {
    const marks = { remote: true, retryable: false, overloaded: false };
    const { through } = edge({ isObjectDown: true, marks });
    expect((await ask("reader-token", "/v1/hosts", {}, through)).status).toBe(500);
  });

  test("says nothing of a name that KV does not have: SERVFAIL, not NXDOMAIN", async () => {
    const { through } = edge({ isObjectDown: true });
    expect((await askDns("_80._tcp.other", "SRV", { through })).rcode).toBe(Rcode.ServFail);
  });

  test("takes no push, and says to come back", async () => {
    const { through } = edge({ isObjectDown: true });
    const host = await WorkerHost.create("agent-token", { through });
    await expect(host.push([])).rejects.toMatchObject({ code: "store-unavailable", retryable: true });
    const response = await through(
      new Request("https://berth.example/v1/hosts", { headers: { authorization: "Bearer reader-token" } }),
    );
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
  });

  test("answers from the object when KV fails", async () => {
    await pushed(8080);
    const { through } = edge({ isCopyDown: true });
    expect((await askDns(srv, "SRV", { through })).ports).toEqual([8080]);
  });
});

describe("the ports of a name at the edge", () => {
  test("are never said to be none because the copy has none, or none yet", async () => {
    const { through } = edge();
    expect(await portsAt("web", { through })).toBe("unknown-name");
    await pushed(8080);
    // KV caches that it had nothing.
    expect(await portsAt("web", { through })).toBe("80");
    await runAlarm();
    expect(await portsAt("web", { through })).toBe("80");
  });

  test("come from the copy, and from the object for Cache-Control: no-cache", async () => {
    const { through } = edge();
    const host = await pushed(8080);
    await runAlarm();
    await portsAt("web", { through });
    await host.push([binding("web"), binding("web", { servicePort: 443 })]);
    expect(await portsAt("web", { through })).toBe("80");
    expect(await portsAt("web", { through, fresh: true })).toBe("80 443");
    vi.setSystemTime(start + 15_000);
    await runAlarm();
    expect(await portsAt("web", { through, fresh: true })).toBe("unknown-name");
  });

  test("are listed from the copy, as stale, while the object cannot be reached, and never said to be none", async () => {
    await pushed(8080);
    await runAlarm();
    const { through } = edge({ isObjectDown: true });
    expect(await portsAt("web", { through })).toBe("80 stale");
    expect(await portsAt("web", { through, fresh: true })).toBe("80 stale");
    expect(await portsAt("db", { through })).toBe("store-unavailable");
  });

  test("are for bearers of a token, as lookups are, and so are the zones", async () => {
    const { through } = edge();
    for (const path of ["/v1/zones", "/v1/names/web.berth.internal"]) {
      expect((await through(new Request(`${remoteUrl}${path}`))).status).toBe(401);
      expect((await ask("some-other-token", path, {}, through)).status).toBe(401);
    }
    const zones = await ask("reader-token", "/v1/zones", {}, through);
    expect(await zones.json()).toEqual({ zones: ["berth.internal."] });
    expect((await through(new Request(`${localUrl}/v1/zones`))).status).toBe(200);
  });
});

/** The ports as the client sees them, `stale` behind them if so, or the code of the fault. */
async function portsAt(label: string, { through, fresh = false }: { through: Fetch; fresh?: boolean }) {
  const access = accessTo("reader-token", { through });
  try {
    const list = await portsOfName(access, parseName(below(label)), { fresh });
    const ports = list?.ports.map(({ servicePort }) => servicePort) ?? ["unknown-name"];
    return [...ports, ...(list?.stale ? ["stale"] : [])].join(" ");
  } catch (fault) {
    return fault instanceof BerthError ? fault.code : String(fault);
  }
}

async function pushed(port: number): Promise<WorkerHost> {
  const host = await WorkerHost.create();
  await host.push([binding("web", { port })]);
  return host;
}

async function createToken(): Promise<{ id: string; token: string }> {
  const { through } = edge();
  const response = await through(
    new Request("https://berth.example/v1/tokens", {
      method: "POST",
      headers: { authorization: "Bearer admin-token", "content-type": "application/json" },
      body: JSON.stringify({ kind: "reader", owner: "a" }),
    }),
  );
  return response.json();
}

function entryOf(target: string) {
  const action = "token-revoke" as const;
  return { at: 0, actor: null, action, target, outcome: "done" as const, code: null, detail: "", count: 1 };
}

async function runAlarm(): Promise<void> {
  await runDurableObjectAlarm(registryStub());
}

function alarmAt(): Promise<number | null> {
  return runInDurableObject(registryStub(), (_, state) => state.storage.getAlarm());
}

/** When each write of a name was made. */
function recordWrites(): (owner: string) => number[] {
  const made: { owner: string; at: number }[] = [];
  const [put, del] = [env.ZONE.put.bind(env.ZONE), env.ZONE.delete.bind(env.ZONE)];
  const spies = [
    vi.spyOn(env.ZONE, "put").mockImplementation((async (owner: string, text: string) => {
      made.push({ owner, at: Date.now() });
      await put(owner, text);
    }) as typeof env.ZONE.put),
    vi.spyOn(env.ZONE, "delete").mockImplementation(async (owner: string) => {
      made.push({ owner, at: Date.now() });
      await del(owner);
    }),
  ];
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return (owner) => made.filter((write) => write.owner === owner).map(({ at }) => at);
}

/** The whole Worker with KV as a reader far from the writer has it: what get() once returned, absence too, it returns for a minute. */
function edge({ isObjectDown = false, isCopyDown = false, marks = {} } = {}) {
  let isDown = isObjectDown;
  const seen = new Map<string, { at: number; text: string | null }>();
  const get = async (owner: string): Promise<string | null> => {
    if (isCopyDown) throw new Error("KV GET failed: 500");
    const kept = seen.get(owner);
    if (kept !== undefined && Date.now() - kept.at < 60_000) return kept.text;
    const text = await env.ZONE.get(owner);
    seen.set(owner, { at: Date.now(), text });
    return text;
  };
  const stubOf = (id: DurableObjectId) => {
    if (isDown) throw Object.assign(new Error("Network connection lost."), marks);
    return env.REGISTRY.get(id);
  };
  const idFromName = (name: string) => env.REGISTRY.idFromName(name);
  const changed = {
    ...env,
    ZONE: { get } as unknown as KVNamespace,
    REGISTRY: { idFromName, get: stubOf },
  } as unknown as Env;
  const through: Fetch = async (request) =>
    berth.fetch(request as Parameters<typeof berth.fetch>[0], changed, createExecutionContext());
  const setObjectDown = (now: boolean): void => {
    isDown = now;
  };
  return {
    through,
    setObjectDown,
    get: { values: () => [...seen.values()].flatMap(({ text }) => text ?? []) },
  };
}
