import { describe, expect, test } from "vitest";

import { accepted, binding, counters, existsAt, generationOf, TestHost } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Requests that come twice, too late, or from a second machine with the same key. */
export function describeReplays(makeStore: MakeStore): void {
  const web = () => [binding("web")];
  const superseded = (heldEpoch: number, leaseRemaining: number) => {
    return { kind: "superseded", heldEpoch, leaseRemaining };
  };

  describe("a request signed for another life of the registry", () => {
    test("is told what to sign for, and changes nothing", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const before = await counters(store);
      const generation = generationOf(await nas.push(store, web(), { generation: "" }));
      const told = { kind: "unknown-generation", generation };
      expect(generation).not.toBe("");
      expect(await nas.push(store, web(), { generation: `${generation}x` })).toEqual(told);
      expect(await counters(store)).toEqual(before);
      await accepted(nas.push(store, web(), { generation }));
      expect(await nas.renew(store, { generation: "" })).toEqual(told);
      expect(await nas.pushDelta(store, {}, { generation: "" })).toEqual(told);
      expect(await nas.withdraw(store, { generation: "" })).toEqual(told);
      expect(await existsAt(store, "web")).toBe(true);
    });
  });

  describe("a request that is played back", () => {
    test.each(["withdrawn by an operator", "withdrawn by itself", "lapsed"])(
      "does not bring back a host that was %s",
      async (end) => {
        const { store, advance } = await makeStore();
        const nas = new TestHost("a", "nas");
        await accepted(nas.push(store, web(), { epoch: 3, sequence: 7 }));
        if (end === "withdrawn by an operator") await store.withdraw(nas.hostId);
        if (end === "withdrawn by itself") await nas.withdraw(store, { sequence: 8 });
        if (end === "lapsed") await advance(15_500);
        const gone = await counters(store);
        expect(await nas.push(store, web(), { sequence: 7 })).toEqual(superseded(3, 0));
        expect(await nas.renew(store, { sequence: 7 })).toEqual(superseded(3, 0));
        expect(await nas.pushDelta(store, {}, { sequence: 7 })).toEqual(superseded(3, 0));
        expect(await nas.push(store, web(), { epoch: 2, sequence: 99 })).toEqual(superseded(3, 0));
        expect(await existsAt(store, "web")).toBe(false);
        expect(await counters(store)).toEqual(gone);
      },
    );

    test("takes no part of a withdrawal that was answered", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, web());
      expect(await nas.withdraw(store, { sequence: 8 })).toEqual({ kind: "withdrawn" });
      expect(await nas.push(store, web(), { sequence: 8 })).toEqual(superseded(1, 0));
      await accepted(nas.push(store, web(), { sequence: 9 }));
      expect(await nas.withdraw(store, { sequence: 8 })).toEqual(superseded(1, 15));
      expect(await existsAt(store, "web")).toBe(true);
    });

    test("is known across pushes, deltas, renewals and withdrawals", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await accepted(nas.push(store, web(), { sequence: 5 }));
      await accepted(nas.renew(store, { sequence: 6 }));
      expect(await nas.push(store, [], { sequence: 6 })).toEqual(superseded(1, 15));
      await accepted(nas.push(store, web(), { sequence: 7 }));
      await accepted(nas.pushDelta(store, { changed: [binding("api")] }, { sequence: 8 }));
      expect(await nas.withdraw(store, { sequence: 8 })).toEqual(superseded(1, 15));
      expect(await nas.renew(store, { sequence: 8 })).toEqual(superseded(1, 15));
    });
  });

  describe("after its lease ended", () => {
    test("a process that lives goes on in its epoch", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, web(), { epoch: 3 });
      await advance(15_500);
      await accepted(nas.push(store, web()));
      expect(await existsAt(store, "web")).toBe(true);
    });

    test("a new process has to raise the epoch, without waiting", async () => {
      const { store, advance } = await makeStore();
      await new TestHost("a", "nas").push(store, web(), { epoch: 3 });
      await advance(15_500);
      const next = new TestHost("a", "nas");
      expect(await next.push(store, web())).toEqual(superseded(3, 0));
      await accepted(next.push(store, web(), { epoch: 4 }));
    });
  });

  test("two machines with one key take turns in epochs: what either said last stands, and never a mix", async () => {
    const { store, advance } = await makeStore();
    const original = new TestHost("a", "nas");
    const clone = new TestHost("a", "nas", ["10.0.0.6"]);
    const elsewhere = () => [binding("api", { at: ["10.0.0.6"] })];
    await accepted(original.push(store, web()));
    expect(await clone.push(store, elsewhere())).toEqual(superseded(1, 15));
    await accepted(clone.push(store, elsewhere(), { epoch: 2 }));
    expect(await Promise.all(["web", "api"].map((name) => existsAt(store, name)))).toEqual([false, true]);
    await advance(4500);
    expect(await original.renew(store)).toEqual(superseded(2, 11));
    expect(await original.push(store, web())).toEqual(superseded(2, 11));
    expect((await store.hosts()).hosts).toHaveLength(1);
    await advance(11_000);
    await accepted(original.push(store, web(), { epoch: 3 }));
    expect(await clone.renew(store)).toEqual(superseded(3, 15));
  });
}
