import { describe, expect, test } from "vitest";

import { accepted, binding, rdataAt, TestHost, ttlAt } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Half seconds keep the answers apart from a clock that ticks while the test runs. */
export function describeTtls(makeStore: MakeStore): void {
  describe("a TTL", () => {
    test.each([
      ["5 for fixed ports", 15, { fixed: true }, 5],
      ["1 with an ephemeral port", 15, { fixed: false }, 1],
      ["a third of a short lease", 6, { fixed: true }, 2],
      ["1 at the shortest lease", 5, { fixed: false }, 1],
      ["5 however long the lease", 3600, { fixed: true }, 5],
    ])("is %s", async (_, lease, fields, ttl) => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web", fields)], { lease });
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(ttl);
    });

    test("of a host's addresses does not follow from its ports", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web", { fixed: false })]);
      expect(await ttlAt(store, "web", "A")).toBe(5);
      expect(await ttlAt(store, "nas.host", "A")).toBe(5);
    });

    test("is one for an RRset: one ephemeral port among fixed ones makes all 1", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web"), binding("web", { port: 9, fixed: false })]);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toHaveLength(2);
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(1);
    });

    test("of two hosts' RRset follows the shorter lease", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web")], { lease: 60 });
      const pi = new TestHost("b", "pi", ["10.0.0.6"]);
      await pi.push(store, [binding("web", { at: ["10.0.0.6"] })], { lease: 9 });
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(3);
      expect(await ttlAt(store, "web", "A")).toBe(3);
      expect(await ttlAt(store, "nas.host", "A")).toBe(5);
    });

    test("is lowered only when less is left, then counts down, and is whole again after a renewal", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      const seen: (number | undefined)[] = [];
      for (const ms of [9500, 2000, 1000, 1000, 1000]) {
        await advance(ms);
        seen.push(await ttlAt(store, "_80._tcp.web", "SRV"));
      }
      expect(seen).toEqual([5, 3, 2, 1, 0]);
      await accepted(nas.renew(store));
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(5);
    });

    test("of an RRset is lowered to what the host with least left has, also in what an SRV brings along", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [binding("web", { at: ["10.0.0.6"] })]);
      await advance(11_500);
      await nas.renew(store);
      const view = await store.read("_80._tcp.web.berth.internal.");
      expect(view.rrsets.map((rrset) => rrset.ttl)).toEqual([3]);
      const brought = view.additional.map(({ owner, rrset }) => [owner.split(".")[0], rrset.ttl]);
      expect(brought.toSorted()).toEqual([
        ["nas", 5],
        ["pi", 3],
      ]);
    });

    test("follows a lease of another length", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")], { lease: 60 });
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(5);
      expect(await ttlAt(store, "nas.host", "A")).toBe(5);
      expect(await accepted(nas.renew(store, { lease: 9 }))).toMatchObject({ lease: 9 });
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(3);
      expect(await ttlAt(store, "nas.host", "A")).toBe(3);
      expect(await accepted(nas.push(store, [binding("web")], { lease: 6 }))).toMatchObject({ lease: 6 });
      expect(await ttlAt(store, "_80._tcp.web", "SRV")).toBe(2);
    });
  });
}
