import { describe, expect, test } from "vitest";

import type { Binding } from "../../../shared/binding.ts";
import { binding, existsAt, rdataAt, TestHost, ttlAt } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** TXT RRs: what instances say of themselves. */
export function describeTexts(makeStore: MakeStore): void {
  describe("what a binding says in txt", () => {
    async function storeWith(bindings: Binding[]) {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, bindings);
      return store;
    }

    test("is a TXT RR at its name and at its port, its strings sorted, beside what else is there", async () => {
      const store = await storeWith([binding("web", { txt: ["version=2", "path=/a b"] })]);
      for (const owner of ["web", "_80._tcp.web"])
        expect(await rdataAt(store, owner, "TXT"), owner).toEqual(["path=/a b version=2"]);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toHaveLength(1);
      expect(await rdataAt(store, "_tcp.web", "TXT")).toEqual([]);
      expect(await ttlAt(store, "web", "TXT")).toBe(5);
    });

    test("is one RR for each distinct set, of all instances and hosts; at a port, of that port's", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [
        binding("web", { port: 1, txt: ["v=1", "a=b"] }),
        binding("web", { port: 2, txt: ["a=b", "v=1"] }),
        binding("web", { servicePort: 90, txt: ["admin=yes"] }),
        binding("web", { port: 3 }),
      ]);
      const other = binding("web", { txt: ["v=2"], at: ["10.0.0.6"] });
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [other]);
      expect(await rdataAt(store, "_80._tcp.web", "TXT")).toEqual(["a=b v=1", "v=2"]);
      expect(await rdataAt(store, "_90._tcp.web", "TXT")).toEqual(["admin=yes"]);
      expect(await rdataAt(store, "web", "TXT")).toEqual(["a=b v=1", "admin=yes", "v=2"]);
    });

    test("stands at the port that stands in for 80 as well", async () => {
      const store = await storeWith([binding("web", { servicePort: 3000, txt: ["v=1"] })]);
      expect(await rdataAt(store, "_80._tcp.web", "TXT")).toEqual(["v=1"]);
    });

    test("of an instance that is not answered is not said", async () => {
      const store = await storeWith([
        binding("web", { txt: ["v=1"] }),
        binding("web", { port: 2, txt: ["v=2"], health: "unhealthy" }),
        binding("web", { port: 3, txt: ["v=3"], health: "starting" }),
      ]);
      for (const owner of ["web", "_80._tcp.web"])
        expect(await rdataAt(store, owner, "TXT"), owner).toEqual(["v=1"]);
    });

    test("is nothing where the list is empty", async () => {
      const store = await storeWith([binding("web", { txt: [] })]);
      expect(await rdataAt(store, "web", "TXT")).toEqual([]);
      expect(await existsAt(store, "_80._tcp.web")).toBe(true);
    });

    test("follows when nothing but it changes, by a delta too", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web", { txt: ["v=1"] }), binding("db")]);
      await nas.pushDelta(store, { changed: [binding("web", { txt: ["v=2"] })] });
      expect(await rdataAt(store, "web", "TXT")).toEqual(["v=2"]);
      await nas.push(store, [binding("web"), binding("db")]);
      expect(await rdataAt(store, "web", "TXT")).toEqual([]);
    });

    test("of very many replicas is cut to what fits a message, and the name stays", async () => {
      const long = `a=${"x".repeat(253)}`;
      const replicas = Array.from({ length: 40 }, (_, index) => {
        return binding("web", {
          port: 1000 + index,
          txt: [
            `i=${index}`,
            ...Array(15)
              .fill(0)
              .map((_, n) => `${n}${long}`.slice(0, 255)),
          ],
        });
      });
      const store = await storeWith(replicas);
      const rrs = await rdataAt(store, "web", "TXT");
      expect(rrs.length).toBeGreaterThan(5);
      expect(rrs.reduce((sum, rr) => sum + rr.length + 265, 0)).toBeLessThan(32_000);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toHaveLength(40);
    });
  });
}
