import { describe, expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import { Registry, type RegistryParts, standardSettings } from "./registry.ts";
import { accepted, binding, TestHost, zone } from "./store/contract/builders.ts";
import { createMemoryTables, storeOver } from "./store/memory.ts";
import { createVolatileLeases } from "./tables.ts";
import { createMemoryZone } from "./zone/memory-zone.ts";

/** What the contract cannot see through the store's port: a clock that stands still, an overdue alarm, what changed. */
function makeRegistry(changed: Partial<RegistryParts> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const tables = createMemoryTables();
  const registry = new Registry({
    tables,
    leases: createVolatileLeases(),
    zone: createMemoryZone(),
    settings: standardSettings(zone),
    now: () => clock.now,
    ...changed,
  });
  return { registry, clock, store: storeOver(registry, tables, zone) };
}

const web = `web.${zone}`;

test("serial is the larger of last + 1 and Unix seconds", async () => {
  const { store, clock } = makeRegistry();
  const nas = new TestHost("a", "nas");
  const serials: number[] = [];
  for (const step of [0, 0, 0, -500_000, 3_000_000]) {
    clock.now += step;
    await accepted(nas.push(store, [binding("web", { port: serials.length + 1 })], { lease: 3600 }));
    serials.push((await store.read(web)).serial);
  }
  expect(serials).toEqual([1_800_000_000, 1_800_000_001, 1_800_000_002, 1_800_000_003, 1_800_002_500]);
});

describe("lapse()", () => {
  test("says when to call again, and nothing when no lease runs", async () => {
    const { registry, store, clock } = makeRegistry();
    expect(registry.lapse()).toBeUndefined();
    await new TestHost("a", "nas").push(store, [], { lease: 60 });
    await new TestHost("b", "pi").push(store, [], { lease: 15 });
    expect(registry.lapse()).toBe(clock.now + 15_000);
    clock.now += 15_000;
    expect(registry.lapse(), "due at the very moment").toBe(clock.now + 45_000);
    clock.now += 45_000;
    expect(registry.lapse()).toBeUndefined();
  });

  test.each([
    ["no grace is given", {}, 3_600_000, false],
    ["it comes within the grace", { overdueGrace: 5000 }, 20_000, false],
    ["it comes later than the grace", { overdueGrace: 5000 }, 20_001, true],
  ])("when %s", async (_, parts, ms, isKept) => {
    const { registry, store, clock } = makeRegistry(parts);
    await new TestHost("a", "nas").push(store, [binding("web")]);
    clock.now += ms;
    registry.lapse();
    expect(registry.read(web).exists).toBe(isKept);
    // The grace is one lease, not a second life.
    clock.now += 15_000;
    expect(registry.read(web).exists).toBe(false);
  });
});

test("onChanged gets the owner names whose entries changed, and none for a renewal", async () => {
  const changes: string[][] = [];
  const { store } = makeRegistry({ onChanged: (owners) => changes.push(owners.toSorted()) });
  const nas = new TestHost("a", "nas");
  await nas.push(store, [binding("web"), binding("db", { servicePort: 5432 })]);
  await nas.renew(store);
  await nas.push(store, [binding("web", { port: 9 }), binding("db", { servicePort: 5432 })]);
  await nas.push(store, [binding("db", { servicePort: 5432 })]);
  expect(changes.slice(1)).toEqual([[`_80._tcp.${web}`], [`_80._tcp.${web}`, `_tcp.${web}`, web].toSorted()]);
  expect(changes[0]).toContain(`nas.host.${zone}`);
});

test("a zone whose name leaves no room for hosts' names is refused", () => {
  const fits = `${"a".repeat(57)}.${"b".repeat(57)}`;
  expect(standardSettings(parseName(fits)).zone).toHaveLength(116);
  expect(() => standardSettings(parseName(`${fits}b`))).toThrow(
    expect.objectContaining({ code: "bad-config" }),
  );
});
