import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Leases } from "../tables.ts";
import { migrate, objectSteps, registrySteps } from "./schema.ts";
import { createSqlLeases } from "./sql-leases.ts";
import { openDatabase } from "./sqlite-database.ts";
import { createVolatileLeases } from "./volatile-leases.ts";

function countedGenerations(): () => string {
  let count = 0;
  return () => `generation ${++count}`;
}

const steps = registrySteps.map((step, index) => [...step, ...(objectSteps[index] ?? [])]);

/** An object's storage, in node:sqlite. */
function openStorage() {
  const directory = makeTemporaryDir("berth-leases-");
  const { sql, handle } = openDatabase(join(directory.path, "registry.db"));
  onTestFinished(() => {
    handle.close();
    directory.remove();
  });
  return sql;
}

/** Leases as a Durable Object keeps them; `wake` is what an eviction leaves. */
function openSqlLeases() {
  const sql = openStorage();
  migrate(sql, "the test's file", steps, 0);
  const makeGeneration = countedGenerations();
  return { sql, wake: () => createSqlLeases(sql, makeGeneration) };
}

const lease = (expiresAt: number, sequence = 1) => ({ expiresAt, epoch: 1, sequence });

describe.each<[string, (maxKept?: number) => Leases]>([
  ["volatile leases", (maxKept) => createVolatileLeases(countedGenerations(), maxKept)],
  ["leases in SQL", (maxKept) => createSqlLeases(openSqlLeases().sql, countedGenerations(), maxKept)],
])("%s", (_, make) => {
  test("know a host's last turn after its end, and run no more", () => {
    const leases = make();
    leases.set("a", lease(15, 7));
    leases.end("a");
    expect(leases.get("a")).toEqual(lease(0, 7));
    expect([...leases.running()]).toEqual([]);
    leases.set("a", lease(30, 8));
    expect([...leases.running()]).toEqual([["a", lease(30, 8)]]);
    expect(leases.get("b")).toBeUndefined();
  });

  test("name a moment before which none runs out: lowered by a lease, raised on demand", () => {
    const leases = make();
    expect(leases.soonest()).toBe(Number.POSITIVE_INFINITY);
    leases.set("a", lease(30));
    leases.set("b", lease(15));
    leases.set("b", lease(60));
    expect(leases.soonest()).toBe(15);
    leases.raiseSoonest(30);
    leases.set("b", lease(0));
    expect(leases.soonest(), "one that is over is no deadline").toBe(30);
  });

  test("begin another generation when turns have to be forgotten, and keep those that run", () => {
    const leases = make(2);
    const generation = leases.generation();
    for (const hostId of ["a", "b", "c", "d"]) leases.set(hostId, lease(15));
    for (const hostId of ["a", "b", "a", "b"]) {
      leases.end(hostId);
      leases.set(hostId, lease(15, 2));
      leases.end(hostId);
    }
    expect(leases.generation(), "the same two hosts, over and over").toBe(generation);
    leases.end("c");
    expect(leases.generation()).not.toBe(generation);
    expect(leases.get("a")).toBeUndefined();
    expect([...leases.running()]).toEqual([["d", lease(15)]]);
  });
});

test("leases in SQL outlive the memory of who wrote them", () => {
  const { wake } = openSqlLeases();
  const before = wake();
  before.set("a", lease(15, 3));
  before.set("b", lease(20, 4));
  before.end("b");
  const after = wake();
  expect(after.generation()).toBe(before.generation());
  expect(after.soonest()).toBe(15);
  expect(after.get("a")).toEqual(lease(15, 3));
  expect(after.get("b")).toEqual(lease(0, 4));
  expect([...after.running()]).toEqual([["a", lease(15, 3)]]);
});

test("leases of an object of schema 1 go on, with the epoch of the host's record", () => {
  const sql = openStorage();
  migrate(sql, "the test's file", steps.slice(0, 1), 0);
  sql.run(
    `INSERT INTO hosts VALUES ('a', 'nas', '{"hostId":"a","hostLabel":"nas","epoch":3,"addresses":[]}')`,
  );
  sql.run("INSERT INTO leases VALUES ('a', 15, 7)");
  migrate(sql, "the test's file", steps, 0);
  const leases = createSqlLeases(sql, countedGenerations());
  expect([...leases.running()]).toEqual([["a", { expiresAt: 15, epoch: 3, sequence: 7 }]]);
  expect(leases.soonest()).toBe(15);
  expect(leases.generation()).toBe("generation 1");
});
