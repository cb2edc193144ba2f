import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { standardSettings } from "../settings.ts";
import {
  accepted,
  binding,
  counters,
  existsAt,
  rdataAt,
  TestHost,
  ttlAt,
  zone,
} from "./contract/builders.ts";
import { createMemoryStore } from "./memory.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite.ts";

/** A store whose disk fails on a name `poison` and on removing a host of that label: triggers stand in for a full disk. */
function makeFailingStore() {
  const directory = makeTemporaryDir("berth-sqlite-");
  const file = join(directory.path, "registry.db");
  let now = 1_800_000_000_000;
  openSqliteStore(file, standardSettings(zone), () => now).close();
  const database = new DatabaseSync(file);
  // A deferred constraint fails at COMMIT, when everything in memory has been done already.
  database.exec(`
    CREATE TABLE full (room TEXT REFERENCES hosts (host_id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER fail_late AFTER INSERT ON claims WHEN NEW.path LIKE '%.poison'
      BEGIN INSERT INTO full VALUES ('none'); END;
    CREATE TRIGGER fail_early AFTER DELETE ON hosts WHEN OLD.host_label = 'poison'
      BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
  database.close();
  const open = () => openSqliteStore(file, standardSettings(zone), () => now);
  const stores = [open()];
  const closeLast = () => stores.pop()?.close();
  onTestFinished(() => {
    closeLast();
    directory.remove();
  });
  return {
    store: stores[0] as SqliteStore,
    tick: (ms: number) => {
      now += ms;
    },
    reopen: () => {
      closeLast();
      const store = open();
      stores.push(store);
      return store;
    },
  };
}

describe("a write that fails", () => {
  test("half way through a push leaves tables, zone, counters and lease as they were", async () => {
    const { store, tick, reopen } = makeFailingStore();
    const nas = new TestHost("a", "nas");
    await nas.push(store, [binding("kept"), binding("old")]);
    const before = {
      counters: await counters(store),
      hosts: await store.hosts(),
      all: await store.services(),
    };
    tick(1000);
    await expect(nas.push(store, [binding("kept", { port: 9 }), binding("poison")])).rejects.toThrow(
      "FOREIGN KEY",
    );
    await expect(
      new TestHost("b", "pi").push(store, [binding("other"), binding("poison")]),
    ).rejects.toThrow();
    expect(await rdataAt(store, "_80._tcp.kept", "SRV")).toEqual([`0 0 8080 nas.host.${zone}`]);
    for (const name of ["poison", "other", "pi.host"]) expect(await existsAt(store, name)).toBe(false);
    expect({ counters: await counters(store), all: await store.services() }).toEqual({
      counters: before.counters,
      all: before.all,
    });
    expect((await store.hosts()).hosts[0]?.leaseRemaining).toBe(14);
    await accepted(nas.push(store, [binding("kept"), binding("new")]));
    expect(await existsAt(store, "new")).toBe(true);
    const again = reopen();
    expect(await existsAt(again, "old")).toBe(false);
  });

  test("at a lapse takes none of the living down: they are answered for and renewed", async () => {
    const { store, tick } = makeFailingStore();
    const nas = new TestHost("b", "nas");
    await nas.push(store, [binding("db")], { lease: 60 });
    await new TestHost("a", "poison").push(store, [binding("web")], { lease: 15 });
    tick(15_500);
    expect(() => store.lapse()).toThrow("disk full");
    expect(await rdataAt(store, "db", "A")).toEqual(["10.0.0.5"]);
    await accepted(nas.renew(store));
    expect(await ttlAt(store, "web", "A"), "no cache keeps the dead one").toBe(0);
  });

  test("at a lapse is tried again: no host outlives its lease by it for good", async () => {
    const { store, tick, reopen } = makeFailingStore();
    const poison = new TestHost("a", "poison");
    await poison.push(store, [binding("web")]);
    tick(15_500);
    expect(() => store.lapse()).toThrow("disk full");
    expect(() => store.lapse(), "still due").toThrow("disk full");
    // A restart finds the disk mended or not; the host is still known, and lapses again.
    const again = reopen();
    expect(await existsAt(again, "web")).toBe(true);
    tick(15_500);
    expect(() => again.lapse()).toThrow("disk full");
  });
});

describe("a disk", () => {
  async function storeWith(bindings: number) {
    const { store } = makeFailingStore();
    const nas = new TestHost("a", "nas");
    const set = Array.from({ length: bindings }, (_, index) => binding(`s${index}`));
    await accepted(nas.push(store, set));
    return { store, nas, set };
  }

  test("without room refuses the push by name, answers go on, and it is taken when there is room again", async () => {
    const { store, nas, set } = await storeWith(1);
    store.sql.run("PRAGMA max_page_count = 1");
    const many = Array.from({ length: 500 }, (_, index) => binding(`more${index}`));
    await expect(nas.push(store, [...set, ...many])).rejects.toMatchObject({
      code: "disk-full",
      retryable: true,
      message: expect.stringContaining("registry.db"),
    });
    expect(await existsAt(store, "s0")).toBe(true);
    expect(await existsAt(store, "more0")).toBe(false);
    await accepted(nas.renew(store, { digest: (await store.hosts()).hosts[0]?.digest ?? "" }));
    store.sql.run("PRAGMA max_page_count = 1000000");
    await accepted(nas.push(store, [...set, ...many]));
    expect(await existsAt(store, "more499")).toBe(true);
  });

  test("that takes no writes any more is out of service for pushes alone", async () => {
    const { store, nas } = await storeWith(1);
    store.sql.run("PRAGMA query_only = ON");
    await expect(nas.push(store, [])).rejects.toMatchObject({ code: "store-unavailable", retryable: true });
    expect(await existsAt(store, "s0")).toBe(true);
  });

  test("that lost a page makes no name absent: reading it is a fault that says what to do", async () => {
    const { store, nas } = await storeWith(400);
    const file = await spoilEverythingBehind(store);
    const fault = { code: "bad-database", who: file, message: expect.stringContaining("berth restore") };
    expect(() => store.read(`s399.${zone}`)).toThrow(expect.objectContaining(fault));
    expect(() => store.read(`_80._tcp.s7.${zone}`), "again").toThrow(expect.objectContaining(fault));
    expect(() => store.read(`never-there.${zone}`)).toThrow(expect.objectContaining(fault));
    await expect(nas.push(store, [])).rejects.toMatchObject(fault);
    await expect(store.services()).rejects.toMatchObject(fault);
  });
});

/** Overwrites all pages but the first, as a failing disk might, and makes the store read them again. */
async function spoilEverythingBehind(store: SqliteStore): Promise<string> {
  const file = String(store.sql.all("PRAGMA database_list")[0]?.file);
  store.sql.all("PRAGMA wal_checkpoint(TRUNCATE)");
  const { size } = statSync(file);
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, Buffer.alloc(size - 4096, 0x5a), 0, size - 4096, 4096);
  closeSync(descriptor);
  store.sql.run("PRAGMA shrink_memory");
  return file;
}

/** mulberry32: the same sequence on every machine. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test("500 random pushes, withdrawals and lapses leave it equal to the memory store", async () => {
  const random = seeded(7);
  const pick = (count: number) => Math.floor(random() * count);
  const { store: sqlite, tick } = makeFailingStore();
  // What a power cut would take is no matter here.
  sqlite.sql.run("PRAGMA synchronous = OFF");
  let now = 1_800_000_000_000;
  const memory = createMemoryStore(standardSettings(zone), () => now);
  const hosts = ["a", "b", "c", "d"].map((letter, i) => new TestHost(letter, `h${i % 3}`, [`10.0.0.${i}`]));
  const rules = ["compose", "container", "label"] as const;
  const health = ["none", "healthy", "unhealthy"] as const;
  const owners = ["web", "db", "a.shop", "b.shop", "host", "web.h0.host"];

  for (let step = 0; step < 500; step++) {
    const ms = pick(4) === 0 ? pick(16_000) : 100;
    // Somebody looks every second, or it would have stood still.
    for (let left = ms; left > 0; left -= 1000) {
      now += Math.min(left, 1000);
      tick(Math.min(left, 1000));
      sqlite.lapse();
      await memory.read(zone);
    }
    const at = pick(hosts.length);
    const host = hosts[at];
    if (host === undefined) continue;
    if (pick(10) === 0) {
      expect(await sqlite.withdraw(host.hostId)).toEqual(await memory.withdraw(host.hostId));
      continue;
    }
    const set = Array.from({ length: pick(5) }, () =>
      binding(owners[pick(owners.length)] ?? "web", {
        rule: rules[pick(3)] ?? "compose",
        health: health[pick(3)] ?? "none",
        servicePort: 80 + pick(3),
        port: 1000 + pick(3),
        fixed: pick(2) === 0,
        at: [`10.0.0.${at}`],
        ...(pick(5) === 0 ? { http: true } : {}),
      }),
    );
    const outcome = await accepted(host.push(sqlite, set));
    const { digest } = (await sqlite.hosts()).hosts.find(({ hostId }) => hostId === host.hostId) ?? {};
    expect(await accepted(host.push(memory, set))).toEqual(outcome);
    expect(digest).toBeDefined();
    expect(await memory.services()).toEqual(await sqlite.services());
    expect(await memory.hosts()).toEqual(await sqlite.hosts());
    expect(await memory.names()).toEqual(await sqlite.names());
    for (const owner of ["web", "_80._tcp.web", "_tcp.db", "shop", "h0.host", "_81._tcp.a.shop"]) {
      const [a, b] = await Promise.all([memory.read(`${owner}.${zone}`), sqlite.read(`${owner}.${zone}`)]);
      expect(a, `step ${step}, ${owner}`).toEqual(b);
    }
  }
});
