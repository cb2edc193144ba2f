import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { FakeClock } from "../testing/fake-clock.ts";
import { declaredOf, KeeperStand, largeSet } from "../testing/keeper-stand.ts";

/** Stands for tests with one registry and one host key. */
let first: KeeperStand;
let clock: FakeClock;
let others: KeeperStand[];

beforeEach(() => {
  first = new KeeperStand();
  clock = first.clock;
  others = [];
});
afterEach(() => Promise.all([first, ...others].map((stand) => stand.end())));

function another(): KeeperStand {
  const stand = new KeeperStand({}, first);
  others.push(stand);
  return stand;
}

const errors = (stand: KeeperStand) =>
  stand.log.matching(/^error .*another process uses this host's key/).length;

describe("signatures", () => {
  test("the first request learns the registry's generation, and no later one", async () => {
    first.keeper.offer(declaredOf("web"));
    await clock.advance(20_000);
    expect(first.resolver.outdated).toBe(1);
    expect(first.resolver.requests.length).toBeGreaterThan(4);
    expect(first.log.matching(/warn|error/)).toEqual([]);
  });

  test("a registry in another life is told again, whole, without a word in the log", async () => {
    first.keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    first.resolver.generation = "life-2";
    first.resolver.registry.forget();
    await clock.advance(4_000);
    expect(first.kinds).toBe("push renew push");
    expect(first.resolver.outdated).toBe(2);
    expect(first.log.matching(/warn|error/)).toEqual([]);
  });
});

describe("one host key, two processes", () => {
  test("a restarted agent takes over at once from the one before", async () => {
    first.keeper.offer(declaredOf("web"));
    await clock.advance(6_000);
    await first.end();
    const next = another();
    next.keeper.offer(declaredOf("web"));
    await clock.advance(0);
    expect(next.turns.split(" ").slice(-2)).toEqual(["1.1", "2.2"]);
    expect(next.resolver.registry.epoch).toBe(2);
    expect(next.log.matching(/warn|error/)).toEqual([]);
  });

  test("of two machines the later one wins; the earlier one says so once and stays out of its way", async () => {
    first.keeper.offer(declaredOf("web"));
    await clock.advance(6_000);
    const later = another();
    later.keeper.offer(declaredOf("api"));
    await clock.advance(120_000);
    expect(first.resolver.registry.epoch).toBe(2);
    expect(errors(first)).toBe(1);
    expect(later.log.matching(/warn|error/)).toEqual([]);
    // After the first one's last try before it was told, it asked no more than once a lease.
    const asked = first.resolver.requests.filter(({ turn, at }) => turn.startsWith("1.") && at > 10_000);
    expect(asked.length).toBeLessThan(10);
    expect(new Set(asked.map(({ turn }) => turn))).toEqual(new Set(["1.1"]));
  });

  test("the earlier one comes back when the later one's lease is over, and the later one does not fight for it", async () => {
    first.keeper.offer(declaredOf("web"));
    await clock.advance(6_000);
    const later = another();
    later.keeper.offer(declaredOf("api"));
    await clock.advance(10_000);
    later.keeper.offer(undefined);
    await clock.advance(40_000);
    expect(first.resolver.registry.epoch).toBe(3);
    expect(first.resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
    expect(first.log.matching(/^info .*takes this host's names again/)).toHaveLength(1);
    later.keeper.offer(declaredOf("api"));
    await clock.advance(60_000);
    expect(first.resolver.registry.epoch).toBe(3);
    expect(errors(later)).toBe(1);
  });

  test("two that start at once: one stops, and does not overtake the other, which renews by a link and takes few turns", async () => {
    await first.end();
    const { registry } = first.resolver;
    registry.takeTurn({ epoch: 1, sequence: 50 });
    const both = [another(), another()];
    for (const stand of both) {
      stand.links.refusal = undefined;
      stand.keeper.offer(declaredOf("web"));
    }
    await clock.advance(300_000);
    expect(registry.epoch).toBe(2);
    expect(both.map(errors).toSorted()).toEqual([0, 1]);
    expect(both.map(({ links }) => links.all.length).toSorted()).toEqual([0, 1]);
  });
});

describe("deltas", () => {
  test("a change of a large set is pushed as what changed", async () => {
    first.keeper.offer(largeSet());
    await clock.advance(1_000);
    first.keeper.offer(largeSet("web"));
    await clock.advance(0);
    expect(first.kinds).toBe("push delta");
    expect(first.resolver.declaredPorts).toContain("web.berth.internal. 32768");
  });

  test("a registry that holds another set gets the whole one at once, and deltas after it", async () => {
    first.keeper.offer(largeSet());
    await clock.advance(1_000);
    first.resolver.registry.forget();
    first.keeper.offer(largeSet("web"));
    await clock.advance(0);
    first.keeper.offer(largeSet());
    await clock.advance(0);
    expect(first.kinds).toBe("push delta push delta");
    expect(first.log.matching(/warn|error/)).toEqual([]);
  });

  test("a resolver that knows none gets whole sets, and is tried again after ten minutes", async () => {
    first.resolver.takesDeltas = false;
    first.keeper.offer(largeSet());
    await clock.advance(1_000);
    for (const name of ["web", "api"]) {
      first.keeper.offer(largeSet(name));
      await clock.advance(0);
    }
    expect(first.kinds).toBe("push delta push push");
    expect(first.log.matching(/warn|error/)).toEqual([]);
    await clock.advance(600_000);
    first.keeper.offer(largeSet());
    await clock.advance(0);
    expect(first.kinds).toMatch(/renew delta push$/);
  });

  test("no reply: the whole set the next time, lest it is deltas that never arrive", async () => {
    first.keeper.offer(largeSet());
    await clock.advance(1_000);
    first.resolver.answers.push("lost");
    first.keeper.offer(largeSet("web"));
    await clock.advance(1_000);
    expect(first.kinds).toBe("push delta push");
  });
});
