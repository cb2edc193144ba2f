import { describe, expect, test } from "vitest";

import {
  accepted,
  binding,
  counters,
  endpointsAt,
  existsAt,
  ip,
  rdataAt,
  refusedIn,
  TestHost,
  tokenOf,
} from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Pushes of what changed. */
export function describeDeltas(makeStore: MakeStore): void {
  const unknown = { kind: "unknown-digest" };
  async function storeWith(owners: string[]) {
    const harness = await makeStore();
    const nas = new TestHost("a", "nas");
    await nas.push(
      harness.store,
      owners.map((owner) => binding(owner)),
    );
    return { ...harness, nas };
  }

  describe("a delta", () => {
    test("replaces the names it changes, removes those it says are gone, and leaves the rest", async () => {
      const { store, nas } = await storeWith(["web", "old", "kept"]);
      const changed = [binding("web", { port: 9 }), binding("web", { port: 10 }), binding("new")];
      const reply = await accepted(nas.pushDelta(store, { changed, gone: ["old"] }));
      expect(reply).toMatchObject({ lease: 15, hostLabel: "nas", refused: [] });
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:10", "10.0.0.5:9"]);
      expect(await existsAt(store, "old")).toBe(false);
      expect(await endpointsAt(store, "_80._tcp.kept")).toEqual(["10.0.0.5:8080"]);
      expect(await existsAt(store, "new")).toBe(true);
      expect((await store.hosts()).hosts[0]).toMatchObject({ bindings: 4 });
      await accepted(nas.renew(store));
    });

    test("leads to the same as the whole set: a push of that changes nothing", async () => {
      const { store, nas } = await storeWith(["web", "old"]);
      await accepted(nas.pushDelta(store, { changed: [binding("api")], gone: ["old"] }));
      const before = await counters(store);
      await accepted(nas.push(store, [binding("api"), binding("web")]));
      expect(await counters(store)).toEqual(before);
    });

    test("of nothing changes neither revision nor serial, and prolongs the lease", async () => {
      const { store, nas, advance } = await storeWith(["web"]);
      const before = await counters(store);
      await advance(9500);
      await accepted(nas.pushDelta(store, {}));
      await advance(9500);
      expect(await existsAt(store, "web")).toBe(true);
      expect(await counters(store)).toEqual(before);
    });

    test("brings what the host says besides its bindings, its addresses too", async () => {
      const { store, nas } = await storeWith(["web"]);
      const problems = [{ container: "c", code: "no-port", message: "publishes no port" }];
      const addresses = [ip("10.0.0.5"), ip("10.0.0.9")];
      await accepted(nas.pushDelta(store, {}, {}, { problems, addresses }));
      expect((await store.hosts()).hosts[0]).toMatchObject({ problems, addresses });
      expect(await rdataAt(store, "nas.host", "A")).toEqual(["10.0.0.5", "10.0.0.9"]);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toEqual([
        "0 0 8080 10-0-0-5.addr.nas.host.berth.internal.",
      ]);
    });

    test("is refused and granted by the same rules", async () => {
      const { store, nas } = await storeWith(["web"]);
      await new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b")).push(store, [
        binding("db", { at: ["10.0.0.6"] }),
      ]);
      const reply = await accepted(
        nas.pushDelta(store, { changed: [binding("db"), binding("ns"), binding("x")] }),
      );
      expect(refusedIn(reply)).toEqual(["db held", "ns reserved"]);
    });

    test("keeps the names under a granted label apart from what the host called them", async () => {
      const { store } = await storeWith(["web"]);
      const twin = new TestHost("b", "nas", ["10.0.0.6"]);
      const own = (owner: string) => binding(`${owner}.nas.host`, { rule: "host", at: ["10.0.0.6"] });
      const { hostLabel } = await accepted(twin.push(store, [own("a"), own("b")]));
      expect(hostLabel).not.toBe("nas");
      await accepted(twin.pushDelta(store, { changed: [own("c")], gone: ["a.nas.host"] }));
      const names = ["a", "b", "c"].map((owner) => existsAt(store, `${owner}.${hostLabel}.host`));
      expect(await Promise.all(names)).toEqual([false, true, true]);
      await accepted(twin.pushDelta(store, {}, {}, { hostLabel: "attic" }));
      // What it declared stays below `nas`, which is another host's label now as before.
      expect(refusedIn(await accepted(twin.renew(store)))).toEqual([
        "b.nas.host reserved",
        "c.nas.host reserved",
      ]);
    });
  });

  describe("a delta is answered with", () => {
    test.each([
      ["of a set that is not held", { base: "f".repeat(64) }],
      ["in a higher epoch", { epoch: 2 }],
    ])("a call for the whole set %s", async (_, turn) => {
      const { store, nas } = await storeWith(["web"]);
      const before = await counters(store);
      expect(await nas.pushDelta(store, { changed: [binding("api")] }, turn)).toEqual(unknown);
      expect(await counters(store)).toEqual(before);
      expect(await existsAt(store, "api")).toBe(false);
    });

    test("a call for the whole set of a host that is not held, and of one that lapsed", async () => {
      const { store, nas, advance } = await storeWith(["web"]);
      expect(await new TestHost("b", "pi").pushDelta(store, { changed: [binding("api")] })).toEqual(unknown);
      await advance(15_500);
      expect(await nas.pushDelta(store, { changed: [binding("api")] })).toEqual(unknown);
    });

    test.each([
      ["a digest it does not lead to", {}, { digest: "e".repeat(64) }, {}],
      ["an address that is not the host's", { changed: [binding("api", { at: ["10.9.9.9"] })] }, {}, {}],
      ["no address for what it leaves alone", {}, {}, { addresses: [ip("10.0.0.7")] }],
      ["an address nobody can connect to", {}, {}, { addresses: [ip("10.0.0.5"), ip("0.0.0.0")] }],
    ])("a refusal when it has %s, and changes nothing", async (_, changes, turn, said) => {
      const { store, nas, advance } = await storeWith(["web"]);
      const before = await counters(store);
      await advance(10_000);
      expect(await nas.pushDelta(store, changes, turn, said)).toEqual({ kind: "wrong-digest" });
      expect(await counters(store)).toEqual(before);
      await advance(5500);
      expect(await existsAt(store, "web"), "nothing was prolonged").toBe(false);
    });
  });
}
