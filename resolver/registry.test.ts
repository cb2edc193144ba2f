import { describe, expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import type { Change } from "./changes.ts";
import { standardHoldRules } from "./grants.ts";
import type { Hold } from "./records.ts";
import { Registry, type RegistryParts } from "./registry.ts";
import { standardSettings } from "./settings.ts";
import { accepted, binding, rdataAt, refusedIn, TestHost, tokenOf, zone } from "./store/contract/builders.ts";
import { storeOver } from "./store/memory.ts";
import { createMemoryTables } from "./store/memory-tables.ts";
import { sha256Hex } from "./store/node-crypto.ts";
import { createVolatileLeases } from "./store/volatile-leases.ts";
import type { Tables } from "./tables.ts";
import { createZone } from "./zone/compiled-zone.ts";

/** What the contract cannot see through the store's port: a clock that stands still, an overdue alarm, what changed, what was written. */
function makeRegistry(changed: Partial<RegistryParts> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const { tables = createMemoryTables(), settings = standardSettings(zone) } = changed;
  const parts: RegistryParts = {
    tables,
    leases: createVolatileLeases(() => "life-1"),
    zone: createZone(tables, settings),
    settings,
    now: () => clock.now,
    digest: sha256Hex,
    ...changed,
  };
  const registry = new Registry(parts);
  return { registry, parts, clock, store: storeOver(registry, tables, settings) };
}

/** Tables that note which of their methods were called. */
function watchedTables() {
  const called: string[] = [];
  const tables = new Proxy(createMemoryTables(), {
    get(target, name: keyof Tables) {
      called.push(name);
      return target[name];
    },
  });
  return { tables, called };
}

const web = `web.${zone}`;
const nas = () => new TestHost("a", "nas");
const pi = () => new TestHost("b", "pi", ["10.0.0.6"]);

test("serial is the larger of last + 1 and Unix seconds", async () => {
  const { store, clock } = makeRegistry();
  const host = nas();
  const serials: number[] = [];
  for (const step of [0, 0, 0, -500_000, 3_000_000]) {
    clock.now += step;
    await accepted(host.push(store, [binding("web", { port: serials.length + 1 })], { lease: 3600 }));
    serials.push((await store.read(web)).serial);
  }
  expect(serials).toEqual([1_800_000_000, 1_800_000_001, 1_800_000_002, 1_800_000_003, 1_800_002_500]);
});

describe("lapse()", () => {
  test("says when to call again, and nothing when there is nothing to wait for", async () => {
    const { registry, store, clock } = makeRegistry();
    expect(registry.lapse()).toBeUndefined();
    await nas().push(store, [], { lease: 60 });
    await pi().push(store, [], { lease: 15 });
    expect(registry.lapse()).toBe(clock.now + 15_000);
    clock.now += 15_000;
    expect(registry.lapse(), "due at the very moment").toBe(clock.now + 45_000);
    clock.now += 45_000;
    expect(registry.lapse()).toBeUndefined();
  });

  test("is to be called when a kept name's time is up", async () => {
    const { registry, store, clock } = makeRegistry();
    const host = nas();
    await host.push(store, [binding("web")], { lease: 3600 });
    clock.now += standardHoldRules.lifeMs;
    await host.withdraw(store);
    const end = clock.now + standardHoldRules.keptMs;
    // Past the lease that host would have had: a look in between finds nothing due.
    clock.now += 3_600_000;
    expect(registry.lapse()).toBe(end);
    clock.now = end;
    expect(registry.lapse()).toBeUndefined();
    expect((await store.names()).names).toEqual([]);
  });

  test("is to be called for that also while leases run longer", async () => {
    const settings = { ...standardSettings(zone), holdRules: { lifeMs: 0, keptMs: 1000 } };
    const { registry, store, clock } = makeRegistry({ settings });
    const host = nas();
    await host.push(store, [binding("web")]);
    await host.push(store, []);
    expect(registry.lapse()).toBe(clock.now + 1000);
  });

  test.each([
    ["no grace is given", {}, 3_600_000, false],
    ["it comes within the grace", { overdueGrace: 5000 }, 20_000, false],
    ["it comes later than the grace", { overdueGrace: 5000 }, 20_001, true],
  ])("when %s", async (_, parts, ms, isKept) => {
    const { registry, store, clock } = makeRegistry(parts);
    await nas().push(store, [binding("web")]);
    clock.now += ms;
    registry.lapse();
    expect(registry.read(web).exists).toBe(isKept);
    // The grace is one lease, not a second life.
    clock.now += 15_000;
    expect(registry.read(web).exists).toBe(false);
  });
});

describe("a lapse of more hosts than one step removes", () => {
  /** Three hosts of 600 bindings each; `shared` is declared by the last of them, and waited for by a fourth, which lives on. */
  async function makeCrowd(parts: Partial<RegistryParts> = {}) {
    const made = makeRegistry(parts);
    const { store, clock } = made;
    const hosts = ["a", "b", "c"].map((letter) => new TestHost(letter, `h-${letter}`));
    for (const [index, host] of hosts.entries()) {
      const names = Array.from({ length: 599 }, (_, each) => `n${each}.h${index}`);
      const own = index === 2 ? binding("shared", { rule: "container" }) : binding("other");
      await host.push(store, [...names.map((name) => binding(name)), own]);
    }
    const waiting = new TestHost("d", "h-d", ["10.0.0.6"]);
    await waiting.push(store, [binding("shared", { at: ["10.0.0.6"] })], { lease: 60 });
    clock.now += 15_000;
    return { ...made, hosts, waiting };
  }

  test("goes on when it is called again, which is due at once", async () => {
    const { registry, store, clock } = await makeCrowd();
    expect(registry.lapse()).toBeLessThanOrEqual(clock.now);
    expect(registry.lapse()).toBe(clock.now + 45_000);
    expect((await store.hosts()).hosts.map(({ hostLabel }) => hostLabel)).toEqual(["h-d"]);
  });

  test("leaves no answer for the others either, and their names to those that wait", async () => {
    const { registry, parts, hosts } = await makeCrowd();
    registry.lapse();
    expect(parts.tables.host(hosts[2]?.hostId ?? ""), "still to be removed").toBeDefined();
    expect(registry.read(`shared.${zone}`).rrsets.map(({ rdata }) => rdata)).toEqual([
      [expect.objectContaining({ address: "10.0.0.6" })],
    ]);
    expect(registry.read(`n7.h2.${zone}`).exists).toBe(false);
  });

  test("lets none of the others renew what is over", async () => {
    const { registry, parts, store, hosts } = await makeCrowd();
    registry.lapse();
    expect(parts.tables.host(hosts[2]?.hostId ?? ""), "still to be removed").toBeDefined();
    expect(await hosts[2]?.renew(store)).toEqual({ kind: "unknown-digest" });
  });

  test("takes the rest for no standstill, however long the steps take", async () => {
    const { registry, parts, store, clock } = makeRegistry({ overdueGrace: 5000 });
    const hosts = [..."abcdefghijklm"].map((letter) => new TestHost(letter, `h-${letter}`));
    for (const [index, host] of hosts.entries()) {
      await host.push(
        store,
        Array.from({ length: 1000 }, (_, each) => binding(`n${each}.h${index}`)),
      );
    }
    const left = [];
    for (clock.now += 15_000; left.length < hosts.length; clock.now += 1000) {
      registry.lapse();
      left.push(parts.tables.hosts().length);
    }
    expect(left).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });

  test("grants one more lease in a standstill to those alone that nobody saw lapse", async () => {
    const { registry, parts, store, clock, hosts, waiting } = await makeCrowd({ overdueGrace: 5000 });
    registry.lapse();
    clock.now += 60_000;
    registry.lapse();
    expect(parts.tables.host(waiting.hostId), "it may renew").toBeDefined();
    expect(await hosts[2]?.renew(store), "it was over before").toEqual({ kind: "unknown-digest" });
  });

  test("is gone on with by lookups after a while, where nobody else calls", async () => {
    const { registry, parts, clock, hosts } = await makeCrowd();
    const isLeft = () => parts.tables.host(hosts[2]?.hostId ?? "") !== undefined;
    registry.lapse();
    clock.now += 199;
    registry.read(web);
    expect(isLeft()).toBe(true);
    clock.now += 1;
    registry.read(web);
    expect(isLeft()).toBe(false);
  });
});

describe("touch()", () => {
  test("prolongs it no further than the token is good, or by the shortest lease there is", async () => {
    const { registry, store, clock } = makeRegistry();
    const host = nas();
    host.access = { ...host.access, expiresAt: clock.now + 100_000 };
    await host.push(store, [], { lease: 60 });
    const left = [30_000, 30_000, 37_000].map((ms) => {
      clock.now += ms;
      registry.touch(host.hostId, 1);
      return registry.leaseRemaining(host.hostId);
    });
    expect(left).toEqual([60, 40, 5]);
  });

  test("prolongs the lease by what was granted, for the epoch that holds the host", async () => {
    const { registry, store, clock } = makeRegistry();
    const host = nas();
    await host.push(store, [binding("web")], { lease: 60, epoch: 2 });
    clock.now += 50_000;
    expect(registry.touch(host.hostId, 2)).toBe(true);
    expect(registry.leaseRemaining(host.hostId)).toBe(60);
    expect(registry.touch(host.hostId, 1)).toBe(false);
    await accepted(host.renew(store));
    expect(registry.touch(host.hostId, 2)).toBe(true);
  });

  test("brings nothing back: not from a lapse, nor from another process", async () => {
    const { registry, store, clock } = makeRegistry();
    const host = nas();
    expect(registry.touch(host.hostId, 1)).toBe(false);
    await host.push(store, [binding("web")]);
    clock.now += 15_000;
    expect(registry.touch(host.hostId, 1)).toBe(false);
    expect(registry.read(web).exists).toBe(false);
    await host.push(store, [binding("web")], { epoch: 2 });
    expect(registry.touch(host.hostId, 1)).toBe(false);
    await host.withdraw(store);
    expect(registry.touch(host.hostId, 2)).toBe(false);
  });
});

describe("observeOwners", () => {
  test("gets the owner names whose entries changed, and none for a renewal", async () => {
    const changes: string[][] = [];
    const { store } = makeRegistry({ observeOwners: (owners) => changes.push(owners.toSorted()) });
    const host = nas();
    await host.push(store, [binding("web"), binding("db", { servicePort: 5432 })]);
    await host.renew(store);
    await host.push(store, [binding("web", { port: 9 }), binding("db", { servicePort: 5432 })]);
    await host.push(store, [binding("db", { servicePort: 5432 })]);
    expect(changes.slice(1)).toEqual([
      [`_80._tcp.${web}`],
      [`_80._tcp.${web}`, `_tcp.${web}`, web].toSorted(),
    ]);
    expect(changes[0]).toContain(`nas.host.${zone}`);
  });

  test("gets what follows for other hosts, and for a host that is renamed", async () => {
    const changes: string[][] = [];
    const { store } = makeRegistry({ observeOwners: (owners) => changes.push(owners) });
    const [first, second] = [nas(), pi()];
    await first.push(store, [binding("x", { rule: "container" }), binding("y")]);
    await second.push(store, [binding("x", { rule: "container", at: ["10.0.0.6"] })]);
    await store.withdraw(first.hostId);
    expect(changes[2]).toEqual(expect.arrayContaining([`x.${zone}`, `y.${zone}`, `nas.host.${zone}`]));
    expect(changes[2]).not.toContain(`pi.host.${zone}`);
    await second.push(
      store,
      [binding("x", { rule: "container", at: ["10.0.0.6"] })],
      {},
      { hostLabel: "attic" },
    );
    expect(changes[3]?.toSorted()).toEqual([`_80._tcp.x.${zone}`, `attic.host.${zone}`, `pi.host.${zone}`]);
  });
});

describe("onCommitted", () => {
  function makeWatched() {
    const changes: Change[] = [];
    return { changes, ...makeRegistry({ onCommitted: (change) => changes.push(change) }) };
  }

  test("gets revision, names and hosts of a change, other hosts' grants included", async () => {
    const { store, changes } = makeWatched();
    const [first, second] = [nas(), pi()];
    await first.push(store, [binding("x", { rule: "container" }), binding("y")]);
    await second.push(store, [binding("x", { rule: "container", at: ["10.0.0.6"] })]);
    await first.push(store, [binding("y")]);
    const x = `x.${zone}`;
    expect(changes).toEqual([
      { revision: 1, names: [x, `y.${zone}`], hosts: [first.hostId] },
      { revision: 2, names: [x], hosts: [second.hostId] },
      { revision: 3, names: [x], hosts: [first.hostId, second.hostId] },
    ]);
  });

  test("gets one change for all that lapse together", async () => {
    const { registry, store, changes, clock } = makeWatched();
    await nas().push(store, [binding("web"), binding("api")]);
    await pi().push(store, [binding("web", { at: ["10.0.0.6"] })]);
    changes.length = 0;
    clock.now += 15_000;
    registry.lapse();
    expect(changes).toEqual([
      { revision: 3, names: [web, `api.${zone}`], hosts: ["a".repeat(52), "b".repeat(52)] },
    ]);
  });

  test("gets nothing for what changes nothing, and no names for what no answer follows from", async () => {
    const { store, changes } = makeWatched();
    const host = nas();
    await host.push(store, [binding("web")]);
    changes.length = 0;
    await host.push(store, [binding("web")]);
    await host.pushDelta(store, {});
    await host.renew(store);
    await host.renew(store, { digest: "f".repeat(64) });
    expect(changes).toEqual([]);
    const problems = [{ container: "c", code: "no-port", message: "publishes no port" }];
    await host.push(store, [binding("web")], {}, { problems });
    expect(changes).toEqual([{ revision: 2, names: [], hosts: [host.hostId] }]);
    await host.push(store, [binding("web")], { epoch: 2 }, { problems });
    expect(changes[1]).toEqual({ revision: 2, names: [], hosts: [host.hostId] });
  });

  test("is called when the new lease runs already", async () => {
    const remaining: number[] = [];
    const made = makeRegistry({
      onCommitted: ({ hosts }) => remaining.push(made.registry.leaseRemaining(hosts[0] ?? "")),
    });
    await nas().push(made.store, [binding("web")]);
    expect(remaining).toEqual([15]);
  });
});

describe("a write that fails", () => {
  test("leaves nothing in the zone, and no news", async () => {
    const changes: Change[] = [];
    const tables = createMemoryTables();
    const onCommitted = (change: Change) => changes.push(change);
    // Whoever observes has the zone compiled in the middle of the step.
    const { store, parts } = makeRegistry({ tables, onCommitted, observeOwners: () => undefined });
    const host = nas();
    await host.push(store, [binding("web")]);
    await rdataAt(store, "web", "A");
    // Rolls back as a database does: the change is made and undone.
    parts.tables.transaction = (change) => {
      change();
      throw new Error("disk full");
    };
    const before = [...tables.claims()];
    await expect(host.push(store, [])).rejects.toThrow("disk full");
    for (const claim of before) tables.putClaim(claim);
    expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.5"]);
    expect(changes).toHaveLength(1);
  });
});

describe("the cost of a turn", () => {
  const scans = ["hosts", "claims", "holds"];

  test("follows the change: no push, renewal or withdrawal looks at everything", async () => {
    const { tables, called } = watchedTables();
    const { store, clock } = makeRegistry({ tables });
    const [host, other] = [nas(), pi()];
    const set = (port: number) => [
      binding("web", { port }),
      binding("db"),
      binding("x", { rule: "container" }),
    ];
    await other.push(store, [binding("web", { at: ["10.0.0.6"] })], { lease: 3600 });
    for (const port of [1, 2]) await accepted(host.push(store, set(port), { lease: 3600 }));
    await accepted(host.pushDelta(store, { changed: [binding("db", { port: 3 })] }));
    await accepted(host.renew(store));
    clock.now += standardHoldRules.lifeMs;
    await host.withdraw(store);
    await accepted(host.push(store, set(1)));
    expect(called.filter((name) => scans.includes(name))).toEqual([]);
    expect(called).toContain("putHold");
  });

  test("of a name that did not change is nothing", async () => {
    const { tables, called } = watchedTables();
    const { store } = makeRegistry({ tables });
    const host = nas();
    const many = Array.from({ length: 50 }, (_, index) => binding(`s${index}`));
    await host.push(store, many);
    called.length = 0;
    await host.pushDelta(store, { changed: [binding("s7", { port: 9 })] });
    const count = (name: string) => called.filter((one) => one === name).length;
    expect([count("claimsOfName"), count("putClaim"), count("hold")]).toEqual([1, 1, 1]);
  });

  test("of one that says nothing new is no write", async () => {
    const { tables, called } = watchedTables();
    const { store } = makeRegistry({ tables });
    const host = nas();
    await host.push(store, [binding("web")]);
    called.length = 0;
    await host.push(store, [binding("web")]);
    await host.pushDelta(store, {});
    await host.renew(store);
    expect(called.filter((name) => /^(put|delete|set|transaction)/.test(name))).toEqual([]);
  });
});

describe("a start under other settings", () => {
  test("settles names that are settled otherwise under the settings of now, and leaves the others alone", async () => {
    const tables = createMemoryTables();
    const { store } = makeRegistry({ tables });
    await nas().push(store, [binding("web"), binding("dns")]);
    const changes: Change[] = [];
    const settings = { ...standardSettings(zone), nameServers: [parseName(`dns.${zone}`)] };
    const next = makeRegistry({ tables, settings, onCommitted: (change) => changes.push(change) });
    next.registry.settleAnew();
    next.registry.resume();
    expect(changes).toMatchObject([{ names: [`dns.${zone}`] }]);
    expect((await next.store.hosts()).hosts[0]?.refused).toMatchObject([
      { name: `dns.${zone}`, code: "reserved" },
    ]);
    expect(next.registry.leaseRemaining(nas().hostId)).toBe(15);
    const again = makeRegistry({ tables, settings, onCommitted: (change) => changes.push(change) });
    again.registry.settleAnew();
    expect(changes).toHaveLength(1);
  });

  test("holds names for those that were granted them before there were holds", async () => {
    const tables = createMemoryTables();
    const { store } = makeRegistry({ tables });
    const [first, second] = [nas(), pi()];
    // The one that waits has declared it for longer.
    await second.push(store, [binding("web", { rule: "host", at: ["10.0.0.6"] })]);
    await first.push(store, [binding("x", { rule: "container" })]);
    await second.push(store, [binding("x", { rule: "container", at: ["10.0.0.6"] })]);
    for (const claim of tables.claimsOfHost(second.hostId)) tables.putClaim({ ...claim, since: 1 });
    tables.deleteHold(parseName(`x.${zone}`));
    makeRegistry({ tables }).registry.settleAnew();
    expect(tables.hold(parseName(`x.${zone}`))).toMatchObject({ owner: "operator", hostId: first.hostId });
  });

  test("ends what was kept before in time, also when it changes something else first", async () => {
    const tables = createMemoryTables();
    const { store, clock } = makeRegistry({ tables });
    const until = clock.now + 60_000;
    tables.putHold({
      name: parseName(`old.${zone}`),
      owner: "x",
      hostLabel: "nas",
      tokenId: "t",
      since: 1,
      until,
    });
    await nas().push(store, [binding("web")]);
    tables.deleteHold(parseName(web));
    const next = makeRegistry({ tables });
    next.registry.settleAnew();
    expect(next.registry.lapse()).toBe(until);
    next.clock.now = until;
    expect((await next.store.names()).names).toMatchObject([{ name: web }]);
  });

  test("ends a hold of hosts that are no longer there", () => {
    const tables = createMemoryTables();
    const hold: Hold = {
      name: parseName(web),
      owner: "x",
      hostLabel: "nas",
      tokenId: "t",
      since: 1_800_000_000_000,
    };
    tables.putHold(hold);
    makeRegistry({ tables }).registry.settleAnew();
    expect([...tables.holds()]).toEqual([]);
  });
});

test("room of a token is found also where its last host is gone", async () => {
  const { store, clock } = makeRegistry();
  const limited = tokenOf("team-a", { maxBindings: 1 });
  const [first, second] = [nas(), pi()];
  for (const host of [first, second]) host.access = limited;
  await first.push(store, [binding("web")], { lease: 3600 });
  clock.now += standardHoldRules.lifeMs;
  await first.withdraw(store);
  const api = binding("api", { at: ["10.0.0.6"] });
  expect(refusedIn(await accepted(second.push(store, [api])))).toEqual(["api over-limit"]);
  await store.releaseName(parseName(web));
  expect(await rdataAt(store, "api", "A")).toEqual(["10.0.0.6"]);
});

test("a zone whose name leaves no room for hosts' names is refused", () => {
  const fits = `${"a".repeat(57)}.${"b".repeat(57)}`;
  expect(standardSettings(parseName(fits)).zone).toHaveLength(116);
  expect(() => standardSettings(parseName(`${fits}b`))).toThrow(
    expect.objectContaining({ code: "bad-config" }),
  );
});
