import { describe, expect, test } from "vitest";

import { accepted, binding, existsAt, TestHost } from "./builders.ts";
import type { MakeStore, Spared } from "./harness.ts";

const week = 7 * 24 * 3_600_000;

/** Clocks that jump, and lapses that nobody came to see. */
export function describeClock(makeStore: MakeStore, spared: Spared): void {
  describe("a clock that is a week further on", () => {
    test("finds no lease running once everybody had one lease to renew in", async () => {
      const { store, advance } = await makeStore();
      await new TestHost("a", "nas").push(store, [binding("web")], { lease: 3600 });
      await advance(week);
      await advance(3_600_500);
      expect(await existsAt(store, "web")).toBe(false);
      expect((await store.hosts()).hosts).toEqual([]);
    });

    test("takes pushes as ever, of old hosts and of new ones", async () => {
      const { store, advance } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web")]);
      await advance(week);
      await accepted(nas.push(store, [binding("web")]));
      await accepted(
        new TestHost("b", "pi", ["10.0.0.6"]).push(store, [binding("db", { at: ["10.0.0.6"] })]),
      );
      await advance(14_500);
      expect(await Promise.all(["web", "db"].map((name) => existsAt(store, name)))).toEqual([true, true]);
    });

    if (spared.lateLapse === undefined) {
      test("lapses at once whom nobody saw lapse in time", async () => {
        const { store, advance } = await makeStore();
        const nas = new TestHost("a", "nas");
        await nas.push(store, [binding("web")]);
        await advance(week);
        expect(await existsAt(store, "web")).toBe(false);
        expect(await nas.renew(store)).toEqual({ kind: "unknown-digest" });
      });
    } else {
      test("grants one more lease to whom nobody saw lapse in time", async () => {
        const { store, advance } = await makeStore();
        const nas = new TestHost("a", "nas");
        await nas.push(store, [binding("web")]);
        await advance(week);
        expect(await existsAt(store, "web")).toBe(true);
        await accepted(nas.renew(store));
        await advance(15_500);
        expect(await existsAt(store, "web")).toBe(false);
      });
    }
  });

  test("many hosts that lapse together leave nothing of any of them, nor of what waited among them", async () => {
    const { store, advance } = await makeStore();
    const letters = "abcdefghijklmnopqrst".split("");
    for (const letter of letters)
      await new TestHost(letter, `host-${letter}`).push(store, [binding("web"), binding(letter)]);
    const before = (await store.hosts()).revision;
    await advance(15_500);
    expect((await store.hosts()).hosts).toEqual([]);
    expect((await store.hosts()).revision).toBeGreaterThan(before);
    expect((await store.services()).services).toEqual([]);
    expect((await store.names()).names).toEqual([]);
  });
}
