import { describe, expect, test } from "vitest";

import { accepted, binding, counters, endpointsAt, existsAt, rdataAt, TestHost } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** What outlives the process, where anything does. */
export function describeRestart(makeStore: MakeStore): void {
  async function makeDurableStore() {
    const { store, restart } = await makeStore();
    if (restart === undefined) throw new Error("a store without restart() has to say so to describeStore");
    return { store, restart };
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
  });
}
