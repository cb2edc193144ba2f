import { describe, expect, test } from "vitest";

import { accepted, binding, counters, existsAt, rdataAt, TestHost } from "./builders.ts";
import type { MakeStore, Spared } from "./harness.ts";

/** Pushes, renewals, lapses, and whose turn it is. */
export function describeTurns(makeStore: MakeStore, spared: Spared): void {
  describe("a push", () => {
    test("is answered with lease, revision, label and refusals", async () => {
      const { store } = await makeStore();
      const reply = await accepted(new TestHost("a", "nas").push(store, [binding("web.shop")]));
      expect(reply).toMatchObject({ lease: 15, hostLabel: "nas", refused: [] });
      expect(reply.revision).toBeGreaterThan(0);
    });

    test.each([
      ["less than the lowest", 1, 5],
      ["more than the highest", 86_400, 3600],
      ["something between", 42, 42],
    ])("asking for a lease of %s gets what the operator allows", async (_, lease, granted) => {
      const { store } = await makeStore();
      expect((await accepted(new TestHost("a", "nas").push(store, [], { lease }))).lease).toBe(granted);
    });

    test("replaces the whole set", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("old"), binding("kept")]);
      await nas.push(store, [binding("kept"), binding("new")]);
      expect(await Promise.all(["old", "kept", "new"].map((name) => existsAt(store, name)))).toEqual([
        false,
        true,
        true,
      ]);
    });

    test("of the same digest changes neither revision nor serial, in whatever order it lists the set", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const set = [binding("web"), binding("db", { servicePort: 5432, port: 5432 })];
      await nas.push(store, set);
      const before = await counters(store);
      await accepted(nas.push(store, set.toReversed()));
      expect(await counters(store)).toEqual(before);
    });

    test("of another set raises both", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      const before = await counters(store);
      await nas.push(store, [binding("web", { port: 8081 })]);
      const after = await counters(store);
      expect(after.revision).toBeGreaterThan(before.revision);
      expect(after.serial).toBeGreaterThan(before.serial);
    });
  });

  describe("a lease", () => {
    test("carries a host's bindings to its end and no further, all together", async () => {
      const { store, advance } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web"), binding("db.shop")]);
      const before = await counters(store);
      await advance(14_500);
      expect(await existsAt(store, "web")).toBe(true);
      expect(await counters(store)).toEqual(before);
      await advance(1000);
      for (const name of ["web", "db.shop", "shop", "nas.host", "host"]) {
        expect(await existsAt(store, name), name).toBe(false);
      }
      expect((await store.hosts()).hosts).toEqual([]);
      expect((await counters(store)).serial).toBeGreaterThan(before.serial);
    });

    test("is prolonged by a renewal, and by the same push again", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      const renewing = new TestHost("b", "backup", ["10.0.0.6"]);
      await nas.push(store, [binding("web")]);
      await renewing.push(store, [binding("db", { at: ["10.0.0.6"] })]);
      const before = await counters(store);
      for (let turn = 0; turn < 4; turn++) {
        await advance(9000);
        await accepted(nas.push(store, [binding("web")]));
        await accepted(renewing.renew(store));
      }
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, "db", "A")).toEqual(["10.0.0.6"]);
      expect(await counters(store)).toEqual(before);
    });

    test("of one host says nothing about another's", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await new TestHost("b", "backup", ["10.0.0.6"]).push(store, [binding("db", { at: ["10.0.0.6"] })]);
      await advance(9000);
      await nas.renew(store);
      await advance(6500);
      expect(await existsAt(store, "web")).toBe(true);
      expect(await existsAt(store, "db")).toBe(false);
    });

    test("that was withdrawn ends at once", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      const before = await counters(store);
      expect(await store.withdraw(nas.hostId)).toEqual({ kind: "withdrawn" });
      expect(await existsAt(store, "web")).toBe(false);
      expect((await counters(store)).serial).toBeGreaterThan(before.serial);
      expect(await store.withdraw(nas.hostId)).toEqual({ kind: "not-held" });
    });
  });

  describe("a renewal", () => {
    test.each([
      ["of a host nobody knows", false, {}],
      ["with another digest", true, { digest: "f".repeat(64) }],
      ["in a higher epoch", true, { epoch: 2 }],
    ])("%s asks for the whole set", async (_, isKnown, turn) => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      if (isKnown) await nas.push(store, [binding("web")]);
      expect(await nas.renew(store, turn)).toEqual({ kind: "unknown-digest" });
    });

    test("after the lapse asks for the whole set, and the push brings it back", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await advance(15_500);
      expect(await nas.renew(store)).toEqual({ kind: "unknown-digest" });
      await accepted(nas.push(store, [binding("web")]));
      expect(await existsAt(store, "web")).toBe(true);
    });

    test("that asked for the whole set prolonged nothing", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await advance(10_000);
      await nas.renew(store, { digest: "f".repeat(64) });
      await advance(5500);
      expect(await existsAt(store, "web")).toBe(false);
    });
  });

  describe("a process that shares the host's key", () => {
    test.each([
      ["a lower epoch", { epoch: 1, sequence: 9 }],
      ["the same epoch and the same sequence", { epoch: 2, sequence: 5 }],
      ["the same epoch and an older sequence", { epoch: 2, sequence: 4 }],
    ])("with %s is told who holds the host and for how long", async (_, turn) => {
      const { store, advance } = await makeStore();
      const holder = new TestHost("a", "nas");
      const other = new TestHost("a", "nas");
      await holder.push(store, [binding("web")], { epoch: 2, sequence: 5 });
      await advance(4500);
      const superseded = { kind: "superseded", heldEpoch: 2, leaseRemaining: 11 };
      expect(await other.push(store, [binding("else")], turn)).toEqual(superseded);
      expect(await other.renew(store, turn)).toEqual(superseded);
      expect(await existsAt(store, "else")).toBe(false);
      await advance(11_000);
      expect(await existsAt(store, "web"), "a superseded request prolongs nothing").toBe(false);
    });

    test("takes over with a push in a higher epoch, of a new set or of the same", async () => {
      const { store } = await makeStore();
      const old = new TestHost("a", "nas");
      await old.push(store, [binding("web")], { epoch: 1 });
      await accepted(new TestHost("a", "nas").push(store, [binding("web")], { epoch: 2 }));
      expect(await old.renew(store)).toMatchObject({ kind: "superseded", heldEpoch: 2 });
      await accepted(new TestHost("a", "nas").push(store, [binding("api")], { epoch: 7 }));
      expect(await existsAt(store, "api")).toBe(true);
    });
  });

  test("serial is at least the clock's Unix seconds, and only grows", async () => {
    const { store, advance } = await makeStore();
    const nas = new TestHost("a", "nas");
    const serials: number[] = [];
    for (const port of [1, 2, 3]) {
      await nas.push(store, [binding("web", { port })], { lease: 3600 });
      serials.push((await counters(store)).serial);
    }
    await advance(1000_000);
    await nas.push(store, [binding("web", { port: 4 })], { lease: 3600 });
    serials.push((await counters(store)).serial);
    expect(serials[0]).toBeGreaterThan(1_700_000_000);
    expect(serials).toEqual([...new Set(serials)].toSorted((a, b) => a - b));
    if (spared.serial === undefined) expect((serials[3] ?? 0) - (serials[2] ?? 0)).toBeGreaterThan(900);
  });
}
