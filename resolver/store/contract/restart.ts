import { describe, expect, test } from "vitest";

import { standardHoldRules } from "../../grants.ts";
import {
  accepted,
  binding,
  counters,
  endpointsAt,
  existsAt,
  generationOf,
  rdataAt,
  refusedIn,
  TestHost,
  tokenOf,
} from "./builders.ts";
import type { MakeStore, Spared } from "./harness.ts";

/** What outlives the process, where anything does. */
export function describeRestart(makeStore: MakeStore, spared: Spared): void {
  async function makeDurableStore() {
    const { store, restart, advance } = await makeStore();
    if (restart === undefined) throw new Error("a store without restart() has to say so to describeStore");
    return { store, restart, advance };
  }

  describe("after a restart", () => {
    test("everything that was live is there, refusals included", async () => {
      const { store, restart } = await makeDurableStore();
      const pi = new TestHost("b", "pi", ["10.0.0.6"]);
      await new TestHost("a", "nas").push(store, [
        binding("web.shop", { port: 32768, fixed: false }),
        binding("postgres", { rule: "container" }),
      ]);
      await pi.push(store, [binding("postgres", { rule: "container", at: ["10.0.0.6"] })]);
      const before = {
        counters: await counters(store),
        services: await store.services(),
        web: await store.read("_80._tcp.web.shop.berth.internal."),
        refused: (await store.hosts()).hosts.map(({ refused }) => refused),
      };
      const again = await restart();
      expect({
        counters: await counters(again),
        services: await again.services(),
        web: await again.read("_80._tcp.web.shop.berth.internal."),
        refused: (await again.hosts()).hosts.map(({ refused }) => refused),
      }).toEqual(before);
      expect(await existsAt(again, "shop")).toBe(true);
      expect((await accepted(pi.renew(again))).refused).toHaveLength(1);
    });

    test("revision and serial go on, also when nothing was left", async () => {
      const { store, restart } = await makeDurableStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await store.withdraw(nas.hostId);
      const before = await counters(store);
      const again = await restart();
      expect(await counters(again)).toEqual(before);
      await nas.push(again, [binding("web")]);
      const after = await counters(again);
      expect(after.revision).toBeGreaterThan(before.revision);
      expect(after.serial).toBeGreaterThan(before.serial);
    });

    test("a lower epoch is still superseded, and a freed name still goes to who waited for it", async () => {
      const { store, restart } = await makeDurableStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("postgres", { rule: "container" })], { epoch: 3 });
      const waiting = binding("postgres", { rule: "container", at: ["10.0.0.6"] });
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [waiting]);
      const again = await restart();
      expect(await new TestHost("a", "nas").push(again, [])).toMatchObject({
        kind: "superseded",
        heldEpoch: 3,
      });
      await again.withdraw(nas.hostId);
      expect(await rdataAt(again, "postgres", "A")).toEqual(["10.0.0.6"]);
      expect(await endpointsAt(again, "_80._tcp.postgres")).toEqual(["10.0.0.6:8080"]);
    });

    test("names are kept for their owners, and for as long", async () => {
      const { store, restart, advance } = await makeDurableStore();
      const nas = new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a", { maxBindings: 2 }));
      await nas.push(store, [binding("web"), binding("api")], { lease: 3600 });
      await advance(standardHoldRules.lifeMs);
      await nas.push(store, [binding("web")]);
      const names = await store.names();
      const again = await restart();
      expect(await again.names()).toEqual(names);
      expect(names.names).toMatchObject([{ until: expect.any(Number) }, { until: null }]);
      const rival = new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b"));
      const set = ["web", "api"].map((owner) => binding(owner, { at: ["10.0.0.6"] }));
      expect(refusedIn(await accepted(rival.push(again, set)))).toEqual(["api held", "web held"]);
      expect(refusedIn(await accepted(nas.push(again, [binding("web"), binding("x")])))).toEqual([
        "x over-limit",
      ]);
      expect(refusedIn(await accepted(nas.push(again, [binding("web"), binding("api")])))).toEqual([]);
    });

    test("a delta goes on from what was held", async () => {
      const { store, restart } = await makeDurableStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web"), binding("db")]);
      const again = await restart();
      await accepted(nas.pushDelta(again, { changed: [binding("api")], gone: ["db"] }));
      const names = ["web", "api", "db"].map((name) => existsAt(again, name));
      expect(await Promise.all(names)).toEqual([true, true, false]);
    });

    test("no request of before can be played back, not even of a host that is gone", async () => {
      const { store, restart } = await makeDurableStore();
      const [nas, pi] = [new TestHost("a", "nas"), new TestHost("b", "pi")];
      const generation = generationOf(await nas.push(store, [], { generation: "" }));
      await accepted(nas.push(store, [binding("web")], { generation, sequence: 2 }));
      await accepted(nas.push(store, [binding("api")], { generation, sequence: 3 }));
      await accepted(pi.push(store, [binding("db")], { generation, sequence: 2 }));
      await store.withdraw(pi.hostId);
      const again = await restart();
      const before = await counters(again);
      const expected = spared.freshStart === undefined ? "unknown-generation" : "superseded";
      const playedBack = [
        await nas.push(again, [binding("web")], { generation, sequence: 2 }),
        await nas.renew(again, { generation, sequence: 3 }),
        await pi.push(again, [binding("db")], { generation, sequence: 2 }),
      ];
      expect(playedBack.map(({ kind }) => kind)).toEqual([expected, expected, expected]);
      expect(await counters(again)).toEqual(before);
    });

    if (spared.freshStart === undefined) {
      test("every host has one fresh lease to renew in", async () => {
        const { store, restart, advance } = await makeDurableStore();
        await new TestHost("a", "nas").push(store, [binding("web")]);
        await advance(10_000);
        const again = await restart();
        expect((await again.hosts()).hosts[0]?.leaseRemaining).toBe(15);
      });
    } else {
      test("leases run on", async () => {
        const { store, restart, advance } = await makeDurableStore();
        await new TestHost("a", "nas").push(store, [binding("web")]);
        await advance(9500);
        const again = await restart();
        expect((await again.hosts()).hosts[0]?.leaseRemaining).toBe(6);
      });
    }
  });
}
