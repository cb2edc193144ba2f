import { describe, expect, test } from "vitest";

import { accepted, binding, counters, existsAt, refusedIn, TestHost, tokenOf } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Which names and hosts a token may speak for. */
export function describeScopes(makeStore: MakeStore): void {
  const hostWith = (scope: { names?: string[]; hosts?: string[] }) =>
    new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a", scope));

  describe("a token for some names", () => {
    test.each([
      [["web.shop"], ["api.shop", "shop", "x"]],
      [["*.shop"], ["shop", "x"]],
      [
        ["x", "shop"],
        ["api.shop", "web.shop"],
      ],
      [["*"], []],
      [[], []],
    ])("of %j", async (names, refused) => {
      const { store } = await makeStore();
      const set = ["web.shop", "api.shop", "shop", "x"].map((owner) => binding(owner));
      const own = binding("web.nas.host", { rule: "host" });
      const reply = await accepted(hostWith({ names }).push(store, [...set, own]));
      expect(refusedIn(reply)).toEqual(refused.map((owner) => `${owner} not-allowed`));
      for (const { name } of set) {
        const isRefused = refused.some((owner) => name === binding(owner).name);
        expect((await store.read(`_80._tcp.${name}`)).exists, name).toBe(!isRefused);
      }
      expect(await existsAt(store, "web.nas.host"), "its own names need no leave").toBe(true);
    });

    test("is told what it may declare, and holds nothing else against others", async () => {
      const { store } = await makeStore();
      const reply = await accepted(hostWith({ names: ["*.shop", "cart"] }).push(store, [binding("web")]));
      expect(reply.refused[0]?.message).toContain("*.shop, cart");
      const other = new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b"));
      expect((await accepted(other.push(store, [binding("web", { at: ["10.0.0.6"] })]))).refused).toEqual([]);
    });

    test("loses what the next token of its host may not declare, without any other change", async () => {
      const { store } = await makeStore();
      const host = hostWith({});
      const set = [binding("web.shop"), binding("web")];
      await host.push(store, set);
      host.access = tokenOf("team-a", { names: ["*.shop"] }, "narrow");
      expect(await host.renew(store)).toEqual({ kind: "unknown-digest" });
      expect(refusedIn(await accepted(host.push(store, set)))).toEqual(["web not-allowed"]);
      expect(await existsAt(store, "web")).toBe(false);
      host.access = tokenOf("team-a");
      expect((await accepted(host.push(store, set))).refused).toEqual([]);
    });
  });

  describe("a token for some hosts", () => {
    const notAllowed = { kind: "host-not-allowed" };
    test.each([
      ["by label", ["nas"], true],
      ["by host id", ["a".repeat(52)], true],
      ["others only", ["pi", "b".repeat(52)], false],
      ["none named", [], true],
    ])("%s", async (_, hosts, isAllowed) => {
      const { store } = await makeStore();
      const before = await counters(store);
      const outcome = await hostWith({ hosts }).push(store, [binding("web")]);
      expect(outcome.kind).toBe(isAllowed ? "accepted" : "host-not-allowed");
      if (!isAllowed) expect(await counters(store)).toEqual(before);
    });

    test("is not for who only calls itself by the id of the host it names", async () => {
      const { store } = await makeStore();
      const victim = "a".repeat(52);
      const access = tokenOf("team-a", { hosts: [victim] });
      const rogue = new TestHost("b", victim, ["10.0.0.6"], access);
      expect(await rogue.push(store, [binding("web", { at: ["10.0.0.6"] })])).toEqual(notAllowed);
      await accepted(new TestHost("a", "nas", ["10.0.0.5"], access).push(store, [binding("web")]));
    });

    test("may not renew, change or rename a host to be another's", async () => {
      const { store, advance } = await makeStore();
      const host = hostWith({ hosts: ["nas"] });
      await host.push(store, [binding("web")]);
      expect(await host.push(store, [], {}, { hostLabel: "attic" })).toEqual(notAllowed);
      host.access = tokenOf("team-a", { hosts: ["pi"] });
      await advance(10_000);
      expect(await host.renew(store)).toEqual(notAllowed);
      expect(await host.pushDelta(store, {})).toEqual(notAllowed);
      await advance(5500);
      expect(await existsAt(store, "web"), "nothing was prolonged").toBe(false);
    });
  });
}
