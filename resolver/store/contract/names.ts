import { describe, expect, test } from "vitest";

import { maxNameLength } from "../../../shared/name.ts";
import { accepted, binding, endpointsAt, existsAt, rdataAt, TestHost, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Who gets which name. */
export function describeNames(makeStore: MakeStore): void {
  // The first to come has the higher host id: who was first must decide, not who sorts first.
  const nas = () => new TestHost("b", "nas", ["10.0.0.5"]);
  const pi = () => new TestHost("a", "pi", ["10.0.0.6"]);

  describe("a name two hosts declare", () => {
    test.each(["compose", "label"] as const)("by %s has the replicas of both", async (rule) => {
      const { store } = await makeStore();
      await nas().push(store, [binding("web.shop", { rule, port: 32768 })]);
      const reply = await accepted(
        pi().push(store, [binding("web.shop", { rule: "compose", port: 40_000, at: ["10.0.0.6"] })]),
      );
      expect(reply.refused).toEqual([]);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5", "10.0.0.6"]);
      expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["10.0.0.5:32768", "10.0.0.6:40000"]);
    });

    test.each([
      ["container", "container"],
      ["container", "compose"],
      ["compose", "container"],
    ] as const)("by %s and then by %s belongs to the first", async (first, second) => {
      const { store } = await makeStore();
      await nas().push(store, [binding("postgres", { rule: first })]);
      const reply = await accepted(
        pi().push(store, [
          binding("postgres", { rule: second, at: ["10.0.0.6"] }),
          binding("other", { rule: second, at: ["10.0.0.6"] }),
        ]),
      );
      expect(reply.refused).toMatchObject([{ name: "postgres.berth.internal.", code: "held" }]);
      expect(reply.refused[0]?.message).toContain("nas");
      expect(await rdataAt(store, "postgres", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, "other", "A"), "the rest of the push stands").toEqual(["10.0.0.6"]);
    });

    test.each(["withdraws", "lapses", "pushes without it"])(
      "goes to the second without a push when the first %s",
      async (way) => {
        const { store, advance } = await makeStore();
        const [first, second] = [nas(), pi()];
        const postgres = { rule: "container", at: ["10.0.0.6"] } as const;
        await first.push(store, [binding("postgres", { rule: "container" })]);
        const refused = await accepted(second.push(store, [binding("postgres", postgres)], { lease: 60 }));
        if (way === "withdraws") await store.withdraw(first.hostId);
        // In time for a store whose late alarm grants one more lease.
        if (way === "lapses") await advance(15_500);
        if (way === "pushes without it") await first.push(store, [binding("else")]);
        expect(await rdataAt(store, "postgres", "A")).toEqual(["10.0.0.6"]);
        const granted = await accepted(second.renew(store));
        expect(granted.refused).toEqual([]);
        expect(granted.grantsRevision).toBeGreaterThan(refused.grantsRevision);
      },
    );

    test("is never taken from who holds it by one that waited longer", async () => {
      const { store } = await makeStore();
      const [first, waiting, joined] = [nas(), pi(), new TestHost("c", "rack", ["10.0.0.7"])];
      await first.push(store, [binding("web", { rule: "compose" })]);
      await waiting.push(store, [binding("web", { rule: "container", at: ["10.0.0.6"] })]);
      await joined.push(store, [binding("web", { rule: "compose", at: ["10.0.0.7"] })]);
      await store.withdraw(first.hostId);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.7"]);
      await store.withdraw(joined.hostId);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.6"]);
    });

    test("is not had back by one whose own claim to it was unfit meanwhile", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), pi()];
      await first.push(store, [binding("web", { rule: "host" })]);
      await second.push(store, [binding("web", { rule: "container", at: ["10.0.0.6"] })]);
      const reply = await accepted(first.push(store, [binding("web", { rule: "container" })]));
      expect(reply.refused).toMatchObject([{ code: "held" }]);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.6"]);
    });

    test("waits for one behind those that could have had it before", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), pi()];
      const third = new TestHost("c", "rack", ["10.0.0.7"]);
      const plain = (rule: "host" | "container", at: string) => binding("web", { rule, at: [at] });
      await third.push(store, [plain("host", "10.0.0.7")]);
      await first.push(store, [plain("container", "10.0.0.5")]);
      await second.push(store, [plain("container", "10.0.0.6")]);
      await third.push(store, [plain("container", "10.0.0.7")]);
      await store.withdraw(first.hostId);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.6"]);
    });

    test("keeps its first holder whatever the holder pushes next", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), pi()];
      await first.push(store, [binding("postgres", { rule: "container" })]);
      await second.push(store, [binding("postgres", { rule: "container", at: ["10.0.0.6"] })]);
      await first.push(store, [binding("postgres", { rule: "container", port: 9999 })]);
      expect(await endpointsAt(store, "_80._tcp.postgres")).toEqual(["10.0.0.5:9999"]);
    });
  });

  describe("two hosts with one label", () => {
    const twin = () => new TestHost("a", "nas", ["10.0.0.6"]);
    const own = (at: string, port: number) =>
      binding("web.nas.host", { rule: "host", at: [at], port, container: "web" });

    test("get two labels; the first keeps its own", async () => {
      const { store } = await makeStore();
      expect((await accepted(nas().push(store, [binding("a")]))).hostLabel).toBe("nas");
      const reply = await accepted(twin().push(store, [binding("b", { at: ["10.0.0.6"] })]));
      expect(reply.hostLabel).not.toBe("nas");
      expect(reply.hostLabel).toMatch(/^nas-[a-z2-7]+$/);
    });

    test("have canonical names under the granted label, and targets that never mix", async () => {
      const { store } = await makeStore();
      await nas().push(store, [own("10.0.0.5", 1001), binding("web", { port: 1001 })]);
      const reply = await accepted(
        twin().push(store, [own("10.0.0.6", 1002), binding("web", { port: 1002, at: ["10.0.0.6"] })]),
      );
      expect(reply.refused).toEqual([]);
      expect(await rdataAt(store, "web.nas.host", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, `web.${reply.hostLabel}.host`, "A")).toEqual(["10.0.0.6"]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:1001", "10.0.0.6:1002"]);
      const targets = ["nas", reply.hostLabel].map((label) => `${label}.host.${zone}`);
      const srv = await rdataAt(store, "_80._tcp.web", "SRV");
      expect(srv.map((text) => text.split(" ")[3]).toSorted()).toEqual(targets.toSorted());
    });

    test("keep their labels when the first leaves, and a new label is granted when asked for", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), twin()];
      await first.push(store, [binding("a")]);
      const { hostLabel } = await accepted(second.push(store, [binding("b", { at: ["10.0.0.6"] })]));
      await store.withdraw(first.hostId);
      expect((await accepted(second.push(store, []))).hostLabel).toBe(hostLabel);
      const renamed = await accepted(second.push(store, [], {}, { hostLabel: "attic" }));
      expect(renamed.hostLabel).toBe("attic");
      expect(await existsAt(store, "attic.host")).toBe(true);
      expect(await existsAt(store, `${hostLabel}.host`)).toBe(false);
    });
  });

  describe("a name that is nobody's to have", () => {
    const longName = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(50)}`;
    test.each([
      ["the zone itself", "", "compose", "reserved"],
      ["the hosts' apex", "host", "compose", "reserved"],
      ["a host's own name", "nas.host", "compose", "reserved"],
      ["a name below a host, by another rule", "web.nas.host", "label", "reserved"],
      ["another host's canonical name", "web.pi.host", "host", "reserved"],
      ["a canonical name two labels down", "a.web.nas.host", "host", "reserved"],
      ["a canonical name outside host", "web", "host", "reserved"],
      ["the name server", "ns", "label", "reserved"],
      ["an underscore label", "_tcp.web", "label", "reserved"],
      ["an underscore label of its own", "_tcp.nas.host", "host", "reserved"],
      ["a name with no room for its ports", longName, "label", "too-long"],
    ] as const)("%s is refused and harms nothing else", async (_, owner, rule, code) => {
      const { store } = await makeStore();
      const wrong = binding(owner, { rule, container: "c" });
      expect(wrong.name.length).toBeLessThanOrEqual(maxNameLength);
      const reply = await accepted(nas().push(store, [wrong, binding("web.shop")]));
      expect(reply.refused).toMatchObject([{ name: wrong.name, code }]);
      expect(reply.refused[0]?.message).not.toBe("");
      expect((await store.read(`_80._tcp.${wrong.name}`)).exists).toBe(false);
      expect(await existsAt(store, "web.shop")).toBe(true);
      expect((await store.services()).services.map(({ name }) => name)).toEqual([`web.shop.${zone}`]);
    });

    test("outside the zone is refused as well, even when it only ends alike", async () => {
      const { store } = await makeStore();
      const outside = ["web.example.com.", "web.notberth.internal.", "internal."].map((name) => ({
        ...binding("x"),
        name: name as typeof zone,
      }));
      const reply = await accepted(nas().push(store, [...outside, binding("web")]));
      expect(reply.refused.map(({ code }) => code)).toEqual(["out-of-zone", "out-of-zone", "out-of-zone"]);
      expect((await store.read("web.notberth.internal.")).exists).toBe(false);
    });
  });
}
