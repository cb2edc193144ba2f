import { describe, expect, test } from "vitest";
import { bootstrapAccess } from "../../access.ts";
import { standardHoldRules } from "../../grants.ts";
import { accepted, binding, endpointsAt, heldAt, rdataAt, refusedIn, TestHost, tokenOf } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Names belong to the owners of tokens. */
export function describeOwners(makeStore: MakeStore): void {
  // The first to come has the higher host id: who was first must decide, not who sorts first.
  const nas = (owner: string) => new TestHost("b", "nas", ["10.0.0.5"], tokenOf(owner));
  const pi = (owner: string) => new TestHost("a", "pi", ["10.0.0.6"], tokenOf(owner));
  const at5 = binding("web.shop");
  const at6 = binding("web.shop", { at: ["10.0.0.6"] });

  describe("a name of one owner", () => {
    test.each(["label", "compose", "container"] as const)(
      "is refused to another who asks for it by %s, and told whose it is",
      async (rule) => {
        const { store } = await makeStore();
        await nas("team-a").push(store, [at5]);
        const reply = await accepted(
          pi("team-b").push(store, [{ ...at6, rule }, binding("x", { at: ["10.0.0.6"] })]),
        );
        expect(refusedIn(reply)).toEqual(["web.shop held"]);
        expect(reply.refused[0]?.holder).toEqual({ owner: "team-a", hostLabel: "nas" });
        expect(reply.refused[0]?.message).toMatch(/team-a.*berth\.name/);
        expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5"]);
        expect(await rdataAt(store, "x", "A"), "the rest of the push stands").toEqual(["10.0.0.6"]);
      },
    );

    test("merges over its hosts, whatever tokens they have", async () => {
      const { store } = await makeStore();
      const second = pi("team-a");
      second.access = tokenOf("team-a", {}, "another-token");
      await nas("team-a").push(store, [at5]);
      expect(refusedIn(await accepted(second.push(store, [at6])))).toEqual([]);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5", "10.0.0.6"]);
    });

    test("leaves names below it to anybody", async () => {
      const { store } = await makeStore();
      await nas("team-a").push(store, [at5]);
      const below = binding("api.web.shop", { at: ["10.0.0.6"] });
      expect(refusedIn(await accepted(pi("team-b").push(store, [below])))).toEqual([]);
    });

    test("goes to another at once when it was had for less than ten minutes", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas("team-a"), pi("team-b")];
      await first.push(store, [at5]);
      const refused = await accepted(second.push(store, [at6]));
      await store.withdraw(first.hostId);
      const granted = await accepted(second.renew(store));
      expect(granted.refused).toEqual([]);
      expect(granted.grantsRevision).toBeGreaterThan(refused.grantsRevision);
      expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["10.0.0.6:8080"]);
    });

    test("is listed with who holds it and who waits, in their order", async () => {
      const { store } = await makeStore();
      await nas("team-a").push(store, [at5, binding("db", { rule: "container" })]);
      await new TestHost("c", "rack", ["10.0.0.7"], tokenOf("team-c")).push(store, [
        binding("web.shop", { at: ["10.0.0.7"] }),
      ]);
      await pi("team-b").push(store, [at6, binding("web.pi.host", { rule: "host", at: ["10.0.0.6"] })]);
      const unfit = tokenOf("team-d", { names: ["*.shop"] });
      await new TestHost("d", "den", ["10.0.0.8"], unfit).push(store, [binding("db", { at: ["10.0.0.8"] })]);
      const waiting = [
        { hostLabel: "rack", owner: "team-c" },
        { hostLabel: "pi", owner: "team-b" },
      ];
      const held = { owner: "team-a", hostLabel: "nas", until: null };
      expect((await store.names()).names).toMatchObject([
        { ...held, exclusive: true, waiting: [] },
        { ...held, exclusive: false, waiting },
      ]);
      expect((await heldAt(store, "web.shop"))?.since).toBeGreaterThan(1_700_000_000_000);
    });
  });

  describe("a host that comes with a token of another owner", () => {
    const { lifeMs } = standardHoldRules;
    test.each([
      ["an owner had for a moment", tokenOf("team-a"), lifeMs / 2],
      ["came with the bootstrap token, at any age", bootstrapAccess("agent"), lifeMs],
    ])("is told to push whole, and takes along the names it alone serves that %s", async (_, access, ms) => {
      const { store, advance } = await makeStore();
      const host = nas("team-a");
      host.access = access;
      await host.push(store, [at5, binding("db", { rule: "container" })], { lease: 3600 });
      const held = await heldAt(store, "web.shop");
      await advance(ms);
      host.access = tokenOf("team-b");
      expect(await host.renew(store)).toEqual({ kind: "unknown-digest" });
      const reply = await accepted(host.push(store, [at5, binding("db", { rule: "container" })]));
      expect(reply.refused).toEqual([]);
      expect(await heldAt(store, "web.shop")).toMatchObject({ owner: "team-b", since: held?.since });
      expect(await heldAt(store, "db")).toMatchObject({ owner: "team-b" });
      expect((await store.hosts()).hosts).toMatchObject([{ owner: "team-b", tokenId: "token-team-b" }]);
    });

    test("leaves behind what its owner had for ten minutes, kept for it; one container's goes along", async () => {
      const { store, advance } = await makeStore();
      const host = nas("team-a");
      const set = [at5, binding("db", { rule: "container" })];
      await host.push(store, set, { lease: 3600 });
      await advance(lifeMs);
      host.access = tokenOf("team-b");
      const reply = await accepted(host.push(store, set));
      expect(refusedIn(reply)).toEqual(["web.shop held"]);
      expect(reply.refused[0]?.holder).toEqual({ owner: "team-a", hostLabel: "nas" });
      expect(await heldAt(store, "web.shop")).toMatchObject({ owner: "team-a", until: expect.any(Number) });
      expect(await heldAt(store, "db")).toMatchObject({ owner: "team-b" });
      expect(await rdataAt(store, "web.shop", "A")).toEqual([]);
      host.access = tokenOf("team-a");
      expect((await accepted(host.push(store, set))).refused, "its owner has it back").toEqual([]);
    });

    test("leaves a name to the hosts that go on serving it for its owner", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas("team-a"), pi("team-a")];
      await first.push(store, [at5]);
      await second.push(store, [at6]);
      first.access = tokenOf("team-b");
      expect(refusedIn(await accepted(first.push(store, [at5])))).toEqual(["web.shop held"]);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.6"]);
      second.access = tokenOf("team-b");
      expect(refusedIn(await accepted(second.push(store, [at6])))).toEqual([]);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5", "10.0.0.6"]);
    });

    test.each(["before", "in the same push"])(
      "takes along nothing it does not serve: it was gone %s",
      async (when) => {
        const { store, advance } = await makeStore();
        const host = nas("team-a");
        await host.push(store, [at5], { lease: 3600 });
        await advance(600_000);
        if (when === "before") await host.push(store, []);
        host.access = tokenOf("team-b");
        if (when === "in the same push") await host.push(store, []);
        expect(refusedIn(await accepted(host.push(store, [at5])))).toEqual(["web.shop held"]);
      },
    );
  });

  test("another token of the same owner and rights goes on with renewals", async () => {
    const { store } = await makeStore();
    const host = nas("team-a");
    await host.push(store, [at5]);
    host.access = tokenOf("team-a", {}, "next-token");
    await accepted(host.renew(store));
    expect((await store.hosts()).hosts, "as the last push said").toMatchObject([{ tokenId: "token-team-a" }]);
    await accepted(host.push(store, [at5]));
    expect((await store.hosts()).hosts).toMatchObject([{ tokenId: "next-token" }]);
  });
}
