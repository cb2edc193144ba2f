import { describe, expect, test } from "vitest";

import { standardHoldRules } from "../../grants.ts";
import { accepted, binding, existsAt, heldAt, refusedIn, TestHost, tokenOf } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** How many bindings a token may have, and for how long a lease. */
export function describeLimits(makeStore: MakeStore): void {
  const limited = (maxBindings: number) => tokenOf("team-a", { maxBindings });
  const nas = (maxBindings: number) => new TestHost("b", "nas", ["10.0.0.5"], limited(maxBindings));
  const pi = (maxBindings: number) => new TestHost("a", "pi", ["10.0.0.6"], limited(maxBindings));
  const set = (...owners: string[]) => owners.map((owner) => binding(owner));
  const on6 = (...owners: string[]) => owners.map((owner) => binding(owner, { at: ["10.0.0.6"] }));

  describe("a token with room for so many bindings", () => {
    test("gets no more, by name, and is told so; the rest stands", async () => {
      const { store } = await makeStore();
      const reply = await accepted(nas(2).push(store, set("c", "b", "a")));
      expect(refusedIn(reply)).toEqual(["c over-limit"]);
      expect(reply.refused[0]?.message).toContain("2 bindings");
      expect(await Promise.all(["a", "b", "c"].map((name) => existsAt(store, name)))).toEqual([
        true,
        true,
        false,
      ]);
    });

    test("is not bounded below its limit, and others never by it", async () => {
      const { store } = await makeStore();
      expect((await accepted(nas(2).push(store, set("a", "b")))).refused).toEqual([]);
      const other = new TestHost("a", "pi", ["10.0.0.6"], tokenOf("team-b"));
      expect((await accepted(other.push(store, on6("c", "d", "e")))).refused).toEqual([]);
    });

    test("counts all its hosts together, and their own names as well", async () => {
      const { store } = await makeStore();
      await nas(3).push(store, [...set("a"), binding("a.nas.host", { rule: "host" })]);
      const reply = await accepted(pi(3).push(store, on6("b", "c")));
      expect(refusedIn(reply)).toEqual(["c over-limit"]);
    });

    test("counts every binding of a name, which is granted whole or not", async () => {
      const { store } = await makeStore();
      const set4 = [...[1, 2, 3].map((port) => binding("a", { port })), binding("b")];
      expect(refusedIn(await accepted(nas(3).push(store, set4)))).toEqual(["b over-limit"]);
      const other = new TestHost("c", "pi", ["10.0.0.5"], tokenOf("team-b", { maxBindings: 2 }));
      const elsewhere = set4.map((one) => ({ ...one, name: binding(`${one.container}.x`).name }));
      expect(refusedIn(await accepted(other.push(store, elsewhere)))).toEqual(["a.x over-limit"]);
    });

    test("does not count what could not be granted anyway", async () => {
      const { store } = await makeStore();
      expect(refusedIn(await accepted(nas(1).push(store, set("ns", "host", "web"))))).toEqual([
        "host reserved",
        "ns reserved",
      ]);
    });

    test.each(["pushes less", "withdraws", "lapses"])(
      "gives room to what waits, without a push, when a host of it %s",
      async (way) => {
        const { store, advance } = await makeStore();
        const [first, second] = [nas(2), pi(2)];
        await first.push(store, set("a", "b"));
        const refused = await accepted(second.push(store, on6("c", "d"), { lease: 60 }));
        expect(refusedIn(refused)).toEqual(["c over-limit", "d over-limit"]);
        if (way === "pushes less") await first.push(store, set("a"));
        if (way === "withdraws") await first.withdraw(store);
        if (way === "lapses") await advance(15_500);
        expect(await existsAt(store, "c")).toBe(true);
        expect(await existsAt(store, "d")).toBe(way !== "pushes less");
        const granted = await accepted(second.renew(store, { lease: 60 }));
        expect(granted.grantsRevision).toBeGreaterThan(refused.grantsRevision);
      },
    );

    test("gives it in the order in which it was asked for, whatever changed meanwhile", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(1), pi(1)];
      await first.push(store, set("a"));
      await first.push(store, set("a", "z"));
      await second.push(store, on6("b"), { lease: 60 });
      await first.push(store, [binding("a"), binding("z", { port: 9 })]);
      await first.push(store, [binding("z", { port: 10 })]);
      expect(await Promise.all(["z", "b"].map((name) => existsAt(store, name)))).toEqual([true, false]);
    });

    test("takes nothing from what has room for the sake of what waits longer", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(3), pi(3)];
      const large = [1, 2, 3].map((port) => binding("large", { port }));
      await first.push(store, set("a"));
      await first.push(store, [...set("a"), ...large]);
      await second.push(store, on6("b"));
      await first.push(store, large);
      expect(await existsAt(store, "b")).toBe(true);
      expect(await existsAt(store, "large")).toBe(false);
      await second.withdraw(store);
      expect(await existsAt(store, "large")).toBe(true);
    });

    test("counts the names kept for it, until they are free or its own again", async () => {
      const { store, advance } = await makeStore();
      const host = nas(2);
      await host.push(store, set("a", "b"), { lease: 3600 });
      await advance(standardHoldRules.lifeMs);
      expect(refusedIn(await accepted(host.push(store, set("c", "d"))))).toEqual([
        "c over-limit",
        "d over-limit",
      ]);
      expect(refusedIn(await accepted(host.push(store, set("a", "c"))))).toEqual(["c over-limit"]);
      const kept = binding("b").name;
      expect(await store.releaseName(kept)).toEqual({ kind: "released" });
      expect(await existsAt(store, "c"), "without a push").toBe(true);
      expect(await heldAt(store, "c")).toMatchObject({ owner: "team-a" });
    });

    test("keeps all it can when one of its names grows", async () => {
      const { store, advance } = await makeStore();
      const host = nas(3);
      await host.push(store, set("a", "b", "c"), { lease: 3600 });
      await advance(standardHoldRules.lifeMs);
      const reply = await accepted(host.push(store, [...set("a", "b", "c"), binding("a", { port: 9 })]));
      expect(refusedIn(reply)).toEqual(["c over-limit"]);
      expect(await heldAt(store, "c"), "it stays its own").toMatchObject({ owner: "team-a" });
      expect(refusedIn(await accepted(host.push(store, set("a", "b", "c"))))).toEqual([]);
    });

    test("is unbounded from the push with a token that is", async () => {
      const { store } = await makeStore();
      const host = nas(1);
      await host.push(store, set("a", "b"));
      host.access = tokenOf("team-a");
      expect((await accepted(host.push(store, set("a", "b")))).refused).toEqual([]);
      host.access = limited(1);
      expect(refusedIn(await accepted(host.push(store, set("a", "b"))))).toEqual(["b over-limit"]);
    });
  });

  describe("hosts that come to a limited token, and go", () => {
    test("are no more than its bindings, though they declare none", async () => {
      const { store } = await makeStore();
      const third = new TestHost("c", "rack", ["10.0.0.7"], limited(2));
      const first = nas(2);
      await accepted(first.push(store, []));
      const second = pi(2);
      await accepted(second.push(store, []));
      const refused = { kind: "host-not-allowed", maxHosts: 2 };
      expect(await third.push(store, [])).toEqual(refused);
      expect((await store.hosts()).hosts).toHaveLength(2);
      expect((await accepted(first.push(store, set("a")))).refused, "who is there goes on").toEqual([]);
      await accepted(first.renew(store));
      third.access = tokenOf("team-b");
      await accepted(third.push(store, []));
      third.access = limited(2);
      expect(await third.pushDelta(store, {}), "nor by a change of its token").toEqual(refused);
      second.access = limited(1);
      await accepted(second.push(store, []));
      await first.withdraw(store);
      await accepted(third.push(store, []));
    });

    const on = (owner: string, at: string, count = 1) =>
      Array.from({ length: count }, (_, index) => binding(owner, { at: [at], port: 8080 + index }));
    const scoped = tokenOf("team-b", { names: ["web"] }, "scoped");

    test("take no room from others for a name they could not have before", async () => {
      const { store } = await makeStore();
      const newcomer = new TestHost("b", "nas", ["10.0.0.5"], scoped);
      const settled = pi(3);
      expect(refusedIn(await accepted(newcomer.push(store, set("api"))))).toEqual(["api not-allowed"]);
      await settled.push(store, on("large", "10.0.0.6", 3));
      newcomer.access = limited(3);
      expect(refusedIn(await accepted(newcomer.push(store, set("api"))))).toEqual(["api over-limit"]);
      expect(await existsAt(store, "large")).toBe(true);
    });

    test("leave no room where a name of theirs is kept for it, though they declare it on", async () => {
      const { store, advance } = await makeStore();
      const [first, second] = [nas(3), pi(3)];
      await first.push(store, set("api"), { lease: 3600 });
      await second.push(store, on("large", "10.0.0.6", 3), { lease: 3600 });
      await advance(standardHoldRules.lifeMs);
      first.access = scoped;
      await first.push(store, set("api"));
      expect(await heldAt(store, "api")).toMatchObject({ owner: "team-a", until: expect.any(Number) });
      expect(refusedIn(await accepted(second.renew(store)))).toEqual(["large over-limit"]);
    });

    test("wait behind who has waited longer when room and a name come free together", async () => {
      const { store } = await makeStore();
      const holder = new TestHost("b", "nas", ["10.0.0.5"], limited(3));
      const waiting = new TestHost("c", "rack", ["10.0.0.7"], limited(3));
      const withoutRoom = new TestHost("a", "pi", ["10.0.0.6"], limited(3));
      await holder.push(store, [binding("web", { rule: "container" })]);
      expect(refusedIn(await accepted(waiting.push(store, on("web", "10.0.0.7", 2))))).toEqual(["web held"]);
      const refused = await accepted(withoutRoom.push(store, on("web", "10.0.0.6")));
      expect(refusedIn(refused)).toEqual(["web over-limit"]);
      await holder.push(store, on("web", "10.0.0.5", 4));
      expect(await heldAt(store, "web")).toMatchObject({ hostLabel: "rack" });
    });
  });

  describe("a token with a longest lease", () => {
    test.each([
      ["more", 60, 10],
      ["less", 7, 7],
      ["less than anybody's shortest", 1, 5],
      ["more than that, of a token whose longest is shorter", 60, 5, 3],
    ])("asked for %s", async (_, lease, granted, maxLease = 10) => {
      const { store } = await makeStore();
      const host = new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a", { maxLease }));
      expect((await accepted(host.push(store, [], { lease }))).lease).toBe(granted);
      expect((await accepted(host.renew(store, { lease }))).lease).toBe(granted);
      expect((await store.hosts()).hosts[0]?.leaseRemaining).toBe(granted);
    });
  });

  describe("a token that expires", () => {
    test.each([
      ["no longer than it is good, in whole seconds", 20_900, 20],
      ["what was asked for, when it is good for longer", 60_900, 60],
      ["the shortest there is to its last moment", 2000, 5],
    ])("is granted leases of %s", async (_, leftMs, granted) => {
      const { store } = await makeStore();
      const host = new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a"));
      await host.push(store, set("a"), { lease: 3600 });
      const now = (await heldAt(store, "a"))?.since ?? 0;
      host.access = { ...host.access, expiresAt: now + leftMs };
      expect((await accepted(host.renew(store, { lease: 60 }))).lease).toBe(granted);
      expect((await accepted(host.push(store, set("a", "b"), { lease: 60 }))).lease).toBe(granted);
    });
  });
}
