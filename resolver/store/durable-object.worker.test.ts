import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { BindingStore } from "../store.ts";
import { accepted, binding, TestHost } from "./contract/builders.ts";
import type { StoreHarness } from "./contract/harness.ts";
import { describeModel } from "./contract/model.ts";
import { describeStore } from "./contract.ts";
import type { RegistryObject } from "./durable-object.ts";

type Stub = DurableObjectStub<RegistryObject>;

// Ahead of the real clock: the runtime fires alarms by that one, and here only the tests may.
const start = Date.UTC(2100, 0, 1);
let objects = 0;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(start);
});

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

const spared = {
  freshStart: "an object that wakes up was not away: leases and turns are in its storage",
  lateLapse: "an alarm that late was held up by the platform, not by the hosts",
};

async function makeObjectStore(): Promise<StoreHarness> {
  const stub = freshStub();
  return {
    store: storeOf(stub),
    async advance(ms) {
      vi.setSystemTime(Date.now() + ms);
      await runDurableObjectAlarm(stub);
    },
    async restart() {
      await evictDurableObject(stub);
      return storeOf(stub);
    },
  };
}

describeStore("Durable Object", makeObjectStore, spared);

const patience = "each renewal is a call to the object, and a thousand of them take seconds";
describeModel("Durable Object", makeObjectStore, { runs: 5, length: 25, spared: { ...spared, patience } });

describe("after an eviction, in registries of 1,000 and of 10,000 bindings", () => {
  const perHost = 100;
  const nameOf = (host: number, index: number) => `s${index}.h${host}`;
  const setOf = (host: number, port: number) => {
    return Array.from({ length: perHost }, (_, index) =>
      binding(nameOf(host, index), { port: index === 0 ? port : 1000 + index, at: [`10.0.${host}.1`] }),
    );
  };

  /** Pushed in the object itself, because each exchange with it costs more than the push. */
  async function makeObject(hosts: number) {
    const stub = freshStub();
    const all = Array.from({ length: hosts }, (_, host) => hostNumber(host));
    await runInDurableObject(stub, async (object: RegistryObject) => {
      for (const [host, agent] of all.entries()) {
        await accepted(agent.push(object, setOf(host, 1), { lease: 3600 }));
      }
    });
    return { stub, all };
  }

  /** What `request` makes an object read and write that has forgotten everything. */
  async function rowsFor(stub: Stub, request: (object: RegistryObject) => Promise<unknown>) {
    await evictDurableObject(stub);
    return runInDurableObject(stub, async (object: RegistryObject) => {
      await request(object);
      return { ...object.rows };
    });
  }

  test("a push of one change, a renewal and a question cost the same rows", async () => {
    const costs = [];
    for (const hosts of [10, 100]) {
      const { stub, all } = await makeObject(hosts);
      const agent = all[7] ?? hostNumber(7);
      const [push, renewal, question] = [
        await rowsFor(stub, (object) => accepted(agent.push(object, setOf(7, 2), { lease: 3600 }))),
        await rowsFor(stub, (object) => accepted(agent.renew(object))),
        await rowsFor(stub, async (object) => object.read(`_80._tcp.${nameOf(3, 3)}.berth.internal.`)),
      ];
      costs.push({ push, renewal, question });
    }
    expect(costs[1]).toEqual(costs[0]);
    // One for each claim of the host, and little else; a renewal does not even look at those.
    expect(costs[0]?.push.read).toBeLessThan(2.5 * perHost);
    expect(costs[0]?.push.written).toBeLessThan(12);
    expect(costs[0]?.renewal.read).toBeLessThan(perHost / 2);
    expect(costs[0]?.renewal.written).toBe(1);
  }, 30_000);

  function hostNumber(host: number): TestHost {
    const letters = [host / 26, host % 26].map((digit) => String.fromCharCode(97 + digit)).join("");
    return new TestHost(letters, `h${host}`, [`10.0.${host}.1`]);
  }
});

describe("the registry object's alarm", () => {
  test("lapses a host when its lease ends, and no earlier", async () => {
    const stub = freshStub();
    const nas = new TestHost("a", "nas");
    await nas.push(storeOf(stub), [binding("web")], { lease: 15 });
    expect(await alarmAt(stub)).toBe(start);
    await runDurableObjectAlarm(stub);
    expect(await alarmAt(stub)).toBe(start + 15_000);
    vi.setSystemTime(start + 15_000);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await stub.hosts()).hosts).toEqual([]);
  });

  test("grants one more lease when it comes more than 5 s late, and only one", async () => {
    const stub = freshStub();
    await new TestHost("a", "nas").push(storeOf(stub), [binding("web")], { lease: 15 });
    await runDurableObjectAlarm(stub);
    vi.setSystemTime(start + 15_000 + 5_001);
    await runDurableObjectAlarm(stub);
    expect((await stub.hosts()).hosts).toHaveLength(1);
    expect(await alarmAt(stub)).toBe(start + 15_000 + 5_001 + 15_000);
    vi.setSystemTime(start + 15_000 + 5_001 + 15_000);
    await runDurableObjectAlarm(stub);
    expect((await stub.hosts()).hosts).toEqual([]);
  });

  test("that cannot write a lapse down comes again every second, and answers go on", async () => {
    const stub = freshStub();
    await new TestHost("a", "nas").push(storeOf(stub), [binding("web")], { lease: 15 });
    const sql = (query: string) => runInDurableObject(stub, (_, { storage }) => void storage.sql.exec(query));
    await sql("CREATE TRIGGER full BEFORE DELETE ON hosts BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    for (let second = 15; second < 18; second++) {
      vi.setSystemTime(start + second * 1000);
      await runDurableObjectAlarm(stub);
      expect(await alarmAt(stub)).toBe(start + second * 1000 + 1000);
    }
    expect((await stub.read("web.berth.internal.")).rrsets.map(({ ttl }) => ttl)).toContain(0);
    await sql("DROP TRIGGER full");
    vi.setSystemTime(start + 18_000);
    await runDurableObjectAlarm(stub);
    expect((await stub.hosts()).hosts).toEqual([]);
  });

  test("lapses many hosts in 20 steps, and comes again at once for the rest", async () => {
    const stub = freshStub();
    const letters = [..."abcdefghijklmnopqrstuvwxy"];
    for (const letter of letters)
      await new TestHost(letter, `h${letter}`).push(storeOf(stub), [binding(letter)], { lease: 15 });
    await runDurableObjectAlarm(stub);
    // As many as make a step of each host.
    await runInDurableObject(stub, (_, { storage }) => {
      storage.sql.exec("UPDATE hosts SET record = json_set(record, '$.bindings', 1000)");
    });
    await evictDurableObject(stub);
    const held = () =>
      runInDurableObject(stub, (_, { storage }) =>
        Number(storage.sql.exec("SELECT COUNT(*) AS held FROM hosts").one().held),
      );
    vi.setSystemTime(start + 15_000);
    await runDurableObjectAlarm(stub);
    expect([await held(), await alarmAt(stub)]).toEqual([5, start + 15_000]);
    await runDurableObjectAlarm(stub);
    expect(await held()).toBe(0);
    expect((await stub.hosts()).hosts).toEqual([]);
  });

  test("finds leases again after an eviction", async () => {
    const stub = freshStub();
    await new TestHost("a", "nas").push(storeOf(stub), [binding("web")], { lease: 15 });
    await evictDurableObject(stub);
    vi.setSystemTime(start + 14_999);
    expect((await stub.hosts()).hosts[0]?.leaseRemaining).toBe(1);
    vi.setSystemTime(start + 15_000);
    await runDurableObjectAlarm(stub);
    expect((await stub.hosts()).hosts).toEqual([]);
  });
});

describe("the copy in Workers KV", () => {
  const web = "_80._tcp.web.berth.internal.";

  test("gets entries whose ports are all fixed, and no others", async () => {
    const stub = freshStub();
    const nas = new TestHost("a", "nas");
    await nas.push(storeOf(stub), [binding("web", { fixed: true }), binding("db", { fixed: false })]);
    await runDurableObjectAlarm(stub);
    expect(await env.ZONE.get(web)).toContain('"fixed":true');
    expect(await env.ZONE.get("web.berth.internal.")).not.toBeNull();
    expect(await env.ZONE.get("_80._tcp.db.berth.internal.")).toBeNull();
  });

  test("loses an entry that became ephemeral, that was withdrawn, or that lapsed", async () => {
    const stub = freshStub();
    const nas = new TestHost("a", "nas");
    for (const end of ["ephemeral", "withdrawn", "lapsed"] as const) {
      await nas.push(storeOf(stub), [binding("web", { fixed: true })], { lease: 15 });
      await runDurableObjectAlarm(stub);
      expect(await env.ZONE.get(web)).not.toBeNull();
      if (end === "ephemeral")
        await nas.push(storeOf(stub), [binding("web", { fixed: false })], { lease: 15 });
      if (end === "withdrawn") await stub.withdraw(nas.hostId);
      vi.setSystemTime(Date.now() + (end === "lapsed" ? 15_000 : 1000));
      await runDurableObjectAlarm(stub);
      if (end === "lapsed") await runDurableObjectAlarm(stub);
      expect(await env.ZONE.get(web), end).toBeNull();
      vi.setSystemTime(Date.now() + 1000);
    }
  });

  test("loses what is wrong before it gets what is new, however much that is", async () => {
    const stub = freshStub();
    const nas = new TestHost("a", "nas");
    await nas.push(storeOf(stub), [binding("zz", { fixed: true })]);
    await runDurableObjectAlarm(stub);
    const many = Array.from({ length: 250 }, (_, index) => binding(`s${index}`, { at: ["10.0.0.6"] }));
    await new TestHost("b", "pi", ["10.0.0.6"]).push(storeOf(stub), many);
    await stub.withdraw(nas.hostId);
    vi.setSystemTime(start + 1000);
    await runDurableObjectAlarm(stub);
    for (const owner of ["_80._tcp.zz", "_tcp.zz", "zz", "nas.host"]) {
      expect(await env.ZONE.get(`${owner}.berth.internal.`), owner).toBeNull();
    }
    // The rest follows, batch by batch.
    for (let batch = 0; batch < 3; batch++) await runDurableObjectAlarm(stub);
    for (const { name } of many) expect(await env.ZONE.get(`_80._tcp.${name}`), name).not.toBeNull();
  });

  test("is not written by a renewal", async () => {
    const stub = freshStub();
    const nas = new TestHost("a", "nas");
    await nas.push(storeOf(stub), [binding("web", { fixed: true })]);
    await runDurableObjectAlarm(stub);
    await env.ZONE.delete(web);
    await accepted(nas.renew(storeOf(stub)));
    await runDurableObjectAlarm(stub);
    expect(await env.ZONE.get(web)).toBeNull();
  });

  test("is brought after the zone although writes to it fail at first", async () => {
    const stub = freshStub();
    const put = vi.spyOn(env.ZONE, "put").mockRejectedValue(new Error("429 Too Many Requests"));
    await new TestHost("a", "nas").push(storeOf(stub), [binding("web", { fixed: true })]);
    await runDurableObjectAlarm(stub);
    put.mockRestore();
    expect(await alarmAt(stub)).toBe(start + 1000);
    vi.setSystemTime(start + 1000);
    await runDurableObjectAlarm(stub);
    expect(await env.ZONE.get(web)).not.toBeNull();
  });
});

function freshStub(): Stub {
  return env.REGISTRY.get(env.REGISTRY.idFromName(`object ${++objects}`));
}

function alarmAt(stub: Stub): Promise<number | null> {
  return runInDurableObject(stub, (_, state) => state.storage.getAlarm());
}

/** The object as the Worker reaches it; RPC results are promises of another kind. */
function storeOf(stub: Stub): BindingStore {
  return {
    push: async (hostId, push, access) => stub.push(hostId, push, access),
    pushDelta: async (hostId, delta, access) => stub.pushDelta(hostId, delta, access),
    renew: async (hostId, renewal, access) => stub.renew(hostId, renewal, access),
    withdraw: async (hostId, turn) => stub.withdraw(hostId, turn),
    hosts: async () => stub.hosts(),
    services: async (names) => stub.services(names),
    names: async () => stub.names(),
    releaseName: async (name) => stub.releaseName(name),
    read: async (owner) => stub.read(owner),
  };
}
