import { describe, expect, test } from "vitest";
import { parseName } from "../../../shared/name.ts";
import { nameListSchema } from "../../../shared/registry-views.ts";
import { standardHoldRules } from "../../grants.ts";
import type { BindingStore } from "../../store.ts";
import {
  accepted,
  below,
  binding,
  existsAt,
  heldAt,
  rdataAt,
  refusedIn,
  TestHost,
  tokenOf,
} from "./builders.ts";
import type { MakeStore } from "./harness.ts";

const { lifeMs, keptMs } = standardHoldRules;

/** Names that are kept for their owner when nobody serves them. */
export function describeHolds(makeStore: MakeStore): void {
  const nas = () => new TestHost("b", "nas", ["10.0.0.5"], tokenOf("team-a"));
  const pi = () => new TestHost("a", "pi", ["10.0.0.6"], tokenOf("team-b"));
  const web = binding("web");
  const rival = binding("web", { at: ["10.0.0.6"] });
  const release = (store: BindingStore, owner: string) => store.releaseName(parseName(below(owner)));

  /** A store in which team-a had `web` for long enough, and nobody serves it any more. */
  async function makeStoreWithKept(set = [web]) {
    const harness = await makeStore();
    const host = nas();
    await host.push(harness.store, set, { lease: 3600 });
    await harness.advance(lifeMs);
    await host.withdraw(harness.store);
    return { ...harness, host };
  }

  describe("a name had for ten minutes", () => {
    test.each(["withdraws", "lapses", "pushes without it"])("is kept when its host %s", async (way) => {
      const { store, advance } = await makeStore();
      const host = nas();
      await host.push(store, [web], { lease: 3600 });
      await advance(lifeMs);
      if (way === "withdraws") await host.withdraw(store);
      if (way === "lapses") {
        await host.renew(store, { lease: 15 });
        await advance(15_500);
      }
      if (way === "pushes without it") await host.push(store, []);
      expect(await existsAt(store, "web"), "a kept name is NXDOMAIN").toBe(false);
      const reply = await accepted(pi().push(store, [rival]));
      expect(refusedIn(reply)).toEqual(["web held"]);
      expect(reply.refused[0]).toMatchObject({
        message: expect.stringContaining('"berth names release web.berth.internal"'),
        holder: { owner: "team-a", hostLabel: "nas" },
      });
      const held = await heldAt(store, "web");
      expect(held).toMatchObject({ owner: "team-a", waiting: [{ hostLabel: "pi", owner: "team-b" }] });
      expect(held?.until).toBeGreaterThanOrEqual((held?.since ?? 0) + lifeMs + keptMs);
      const list = await store.names();
      expect(nameListSchema.parse(list)).toEqual(list);
    });

    test("is not kept had it been a moment less", async () => {
      const { store, advance } = await makeStore();
      const host = nas();
      await host.push(store, [web], { lease: 3600 });
      // A clock that ticks while the test runs must not make it ten minutes.
      await advance(lifeMs - 20_000);
      await host.withdraw(store);
      expect(await heldAt(store, "web")).toBeUndefined();
      expect(refusedIn(await accepted(pi().push(store, [rival])))).toEqual([]);
    });

    test("by a plain container is not kept", async () => {
      const { store } = await makeStoreWithKept([binding("web", { rule: "container" })]);
      expect(await heldAt(store, "web")).toBeUndefined();
      expect(refusedIn(await accepted(pi().push(store, [rival])))).toEqual([]);
    });

    test("and below a host is nobody's to keep", async () => {
      const { store } = await makeStoreWithKept([binding("web.nas.host", { rule: "host" })]);
      expect((await store.names()).names).toEqual([]);
    });

    test("gives no right to the names below it", async () => {
      const { store } = await makeStoreWithKept();
      const reply = await accepted(pi().push(store, [binding("api.web", { at: ["10.0.0.6"] })]));
      expect(reply.refused).toEqual([]);
    });
  });

  describe("a kept name", () => {
    test("is had back by its owner, on any host, as if it had never been away", async () => {
      const { store, advance } = await makeStoreWithKept();
      const since = (await heldAt(store, "web"))?.since;
      await advance(keptMs / 2);
      await pi().push(store, [rival]);
      const rack = new TestHost("c", "rack", ["10.0.0.7"], tokenOf("team-a"));
      expect((await accepted(rack.push(store, [binding("web", { at: ["10.0.0.7"] })]))).refused).toEqual([]);
      expect(await heldAt(store, "web")).toMatchObject({
        owner: "team-a",
        hostLabel: "rack",
        since,
        until: null,
      });
      await rack.withdraw(store);
      expect((await heldAt(store, "web"))?.until, "its life counts on").not.toBeNull();
    });

    test("goes after 14 days to who waits for it, without a push", async () => {
      const { store, advance } = await makeStoreWithKept();
      await advance(keptMs - lifeMs);
      const waiting = pi();
      const refused = await accepted(waiting.push(store, [rival], { lease: 3600 }));
      expect(refusedIn(refused)).toEqual(["web held"]);
      await advance(lifeMs);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.6"]);
      const granted = await accepted(waiting.renew(store));
      expect(granted.refused).toEqual([]);
      expect(granted.grantsRevision).toBeGreaterThan(refused.grantsRevision);
      expect(await heldAt(store, "web")).toMatchObject({ owner: "team-b", until: null, waiting: [] });
    });

    test("is gone after 14 days when nobody waits", async () => {
      const { store, advance } = await makeStoreWithKept();
      await advance(keptMs - 60_000);
      expect(await heldAt(store, "web")).toBeDefined();
      await advance(60_000);
      expect(await heldAt(store, "web")).toBeUndefined();
    });
  });

  describe("releaseName()", () => {
    test("frees a kept name at once for who waits", async () => {
      const { store } = await makeStoreWithKept();
      await pi().push(store, [rival]);
      expect(await release(store, "web")).toEqual({ kind: "released" });
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.6"]);
    });

    test("frees it for good when nobody does", async () => {
      const { store } = await makeStoreWithKept();
      expect(await release(store, "web")).toEqual({ kind: "released" });
      expect((await store.names()).names).toEqual([]);
      expect(await release(store, "web")).toEqual({ kind: "not-held" });
    });

    test("takes no name from hosts that serve it, and says which", async () => {
      const { store } = await makeStore();
      await nas().push(store, [web]);
      await new TestHost("c", "attic", ["10.0.0.7"], tokenOf("team-a")).push(store, [
        binding("web", { at: ["10.0.0.7"] }),
      ]);
      await pi().push(store, [rival]);
      expect(await release(store, "web")).toEqual({ kind: "live", hostLabels: ["attic", "nas"] });
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.5", "10.0.0.7"]);
    });

    test("knows nothing of a host's own names", async () => {
      const { store } = await makeStore();
      await nas().push(store, [binding("web.nas.host", { rule: "host" })]);
      expect(await release(store, "web.nas.host")).toEqual({ kind: "not-held" });
    });
  });
}
