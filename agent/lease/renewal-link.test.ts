import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Name } from "../../shared/name.ts";
import type { FakeClock } from "../testing/fake-clock.ts";
import type { FakeLinks } from "../testing/fake-links.ts";
import { errorAnswer, type FakeResolver } from "../testing/fake-resolver.ts";
import { declaredOf, KeeperStand } from "../testing/keeper-stand.ts";

let stand: KeeperStand;
let clock: FakeClock;
let resolver: FakeResolver;
let links: FakeLinks;

beforeEach(() => {
  stand = new KeeperStand();
  ({ clock, resolver, links } = stand);
  links.refusal = undefined;
});
afterEach(() => stand.end());

async function openLink(): Promise<void> {
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  expect(links.last?.isOpen).toBe(true);
}

const upgradeTimes = () => resolver.upgrades.map(({ at }) => at);

describe("an open link", () => {
  test("is opened after the first accepted push, never before", async () => {
    resolver.answers.push(errorAnswer(503, "store-unavailable"));
    stand.keeper.offer(declaredOf("web"));
    await clock.advance(0);
    expect(links.all).toHaveLength(0);
    await clock.advance(1_000);
    expect(resolver.upgrades.map(({ turn }) => turn)).toEqual(["1.3"]);
  });

  test("renews the lease at each third of it, and no request is sent any more", async () => {
    await openLink();
    await clock.advance(59_000);
    expect(stand.kinds).toBe("push");
    expect(links.last?.received).toHaveLength(12);
    expect(resolver.registry.held).toBeDefined();
    expect(links.all).toHaveLength(1);
    expect(stand.log.matching(/warn|error/)).toEqual([]);
  });

  test("carries what is granted by now, and what it does not know is left alone", async () => {
    await openLink();
    links.last?.say("{");
    links.last?.say('{"tidings":"new"}');
    const refused = [{ name: "web.berth.internal." as Name, code: "held" as const, message: "beta has it" }];
    resolver.reply.refused = refused;
    links.last?.say(JSON.stringify(resolver.pushReply()));
    await clock.advance(0);
    expect(stand.log.matching(/^warn/)).toEqual([
      "warn the resolver does not grant web.berth.internal: beta has it",
    ]);
    expect(links.last?.isOpen).toBe(true);
  });

  test("stays through a push, which goes by request", async () => {
    await openLink();
    stand.keeper.offer(declaredOf("web", "api"));
    await clock.advance(10_000);
    expect(stand.kinds).toBe("push push");
    expect(links.all).toHaveLength(1);
    expect(links.last?.received).toEqual(["ping", "ping"]);
  });

  test("may bring another lease, which counts from then on", async () => {
    await openLink();
    resolver.registry.lease = 6;
    links.last?.say(JSON.stringify(resolver.pushReply()));
    await clock.advance(2_000);
    expect(links.last?.received).toHaveLength(1);
    resolver.registry.lease = 30;
    links.last?.say(JSON.stringify(resolver.pushReply()));
    await clock.advance(2_000);
    expect(links.last?.received).toHaveLength(2);
    await clock.advance(19_000);
    expect(links.last?.received).toHaveLength(3);
  });

  test("is let go while nothing can be vouched for, and the lease with it", async () => {
    await openLink();
    stand.keeper.offer(undefined);
    await clock.advance(20_000);
    expect(links.last?.left).toBe("closed");
    expect(links.last?.received).toEqual([]);
    expect(resolver.registry.held).toBeUndefined();
    expect(links.all).toHaveLength(1);
  });

  test("is closed with the agent, and withdraws nothing", async () => {
    await openLink();
    await stand.end();
    expect(links.last?.left).toBe("closed");
    expect(stand.kinds).toBe("push");
    expect(resolver.registry.held).toBeDefined();
  });
});

describe("a link that fails", () => {
  test("because the lease lapsed leaves it known that there was one, while nothing is pushed anew", async () => {
    await openLink();
    resolver.answers.push(...Array.from({ length: 20 }, () => errorAnswer(503, "store-unavailable")));
    links.last?.end(4409);
    await clock.advance(16_000);
    expect(stand.keeper.state).toMatchObject({ leaseMs: 15_000, renewedAt: 0, isLinked: false });
  });

  test("without a pong in time it is dropped, and a request renews at once", async () => {
    await openLink();
    links.isSilent = true;
    await clock.advance(6_400);
    expect(stand.kinds).toBe("push");
    await clock.advance(100);
    expect(links.last?.left).toBe("dropped");
    expect(stand.kinds).toBe("push renew");
    expect(stand.times).toEqual([0, 7_500]);
    expect(stand.log.matching(/warn|error/)).toEqual([]);
  });

  test("broken in between, the renewal comes when it is due, and the link is tried again", async () => {
    await openLink();
    links.last?.end(1006);
    await clock.advance(3_900);
    expect(stand.kinds).toBe("push");
    expect(links.all).toHaveLength(2);
    expect(upgradeTimes()).toEqual([0, 2_000]);
  });

  test("that never serves is tried ever more rarely, up to once a minute", async () => {
    stand.keeper.offer(declaredOf("web"));
    links.isSilent = true;
    await clock.advance(400_000);
    const gaps = upgradeTimes().map((at, index, all) => at - (all[index - 1] ?? 0));
    expect(gaps).toEqual(gaps.toSorted((left, right) => left - right));
    expect(gaps[1]).toBe(6_000);
    expect(gaps.at(-1)).toBe(65_000);
    expect(resolver.registry.held).toBeDefined();
  });

  test("that served is tried soon again after each end", async () => {
    await openLink();
    for (let count = 0; count < 5; count++) {
      await clock.advance(10_000);
      links.last?.end(1006);
    }
    await clock.advance(1_000);
    expect(upgradeTimes()).toEqual([0, 12_000, 22_000, 32_000, 42_000, 52_000]);
  });

  test("being opened when a push is due, it gives way: its turn is older by then", async () => {
    await openLink();
    links.last?.end(1006);
    links.isSilent = true;
    await clock.advance(1_000);
    expect(links.all).toHaveLength(2);
    stand.keeper.offer(declaredOf("web", "api"));
    await clock.advance(0);
    expect(links.last?.left).toBe("dropped");
    expect(stand.turns).toBe("1.1 1.4");
  });

  test("without a token for the upgrade, it waits for its turn again", async () => {
    await openLink();
    links.last?.end(1006);
    const { token } = stand;
    stand.token = async () => {
      throw new Error("no token file");
    };
    await clock.advance(1_500);
    stand.token = token;
    await clock.advance(2_000);
    expect(links.last?.isOpen).toBe(true);
    expect(links.all).toHaveLength(2);
  });
});

describe("what the resolver ends a link with", () => {
  test.each([4409, 4401])(
    "%i: the whole set is pushed at once, with the token as it is by then",
    async (code) => {
      await openLink();
      stand.token = async () => "newer";
      links.last?.end(code);
      await clock.advance(0);
      expect(stand.kinds).toBe("push push");
      expect(resolver.last?.token).toBe("Bearer newer");
      await clock.advance(2_000);
      expect(links.all).toHaveLength(2);
    },
  );

  test("a resolver that ends every link so is not asked without pause", async () => {
    await openLink();
    for (let second = 0; second < 30; second++) {
      if (links.last?.isOpen) links.last.end(4409);
      await clock.advance(1_000);
    }
    expect(links.all.length).toBeLessThan(7);
    expect(resolver.requests.length).toBeLessThan(12);
  });

  test("a ping for a set that lapsed: 4409, and the whole set", async () => {
    await openLink();
    resolver.registry.forget();
    await clock.advance(4_000);
    expect(stand.kinds).toBe("push push");
    expect(stand.times).toEqual([0, 5_000]);
  });

  test("1001, it restarts: nothing is pushed, the link comes back", async () => {
    await openLink();
    links.last?.end(1001);
    await clock.advance(3_000);
    expect(stand.kinds).toBe("push");
    expect(links.last?.isOpen).toBe(true);
    expect(links.all).toHaveLength(2);
    expect(stand.log.matching(/warn|error/)).toEqual([]);
  });
});

describe("a refused upgrade", () => {
  test.each([401, 403, 409])("%i: a request asks at once, and its reply counts", async (status) => {
    links.refusal = status;
    stand.keeper.offer(declaredOf("web"));
    await clock.advance(0);
    expect(stand.kinds).toBe("push renew");
    await clock.advance(60_000);
    expect(resolver.upgrades.length).toBeLessThan(8);
  });

  test("409 of a registry that lost the set between push and upgrade: the whole set again", async () => {
    stand.keeper.offer(declaredOf("web"));
    resolver.registry.lease = 0;
    await clock.advance(0);
    expect(stand.kinds).toBe("push renew push");
  });

  test.each([404, 426, 501, 400, 200, 302])(
    "%i, no links there: requests for good, one try in ten minutes",
    async (status) => {
      links.refusal = status;
      stand.keeper.offer(declaredOf("web"));
      await clock.advance(599_000);
      expect(upgradeTimes()).toEqual([0]);
      expect(stand.times.slice(0, 4)).toEqual([0, 5_000, 10_000, 15_000]);
      links.refusal = undefined;
      await clock.advance(2_000);
      expect(upgradeTimes()).toEqual([0, 600_000]);
      expect(links.last?.isOpen).toBe(true);
    },
  );

  test.each([429, 500, 502, 503])("%i, for now: tried again soon", async (status) => {
    links.refusal = status;
    stand.keeper.offer(declaredOf("web"));
    await clock.advance(1_500);
    expect(upgradeTimes()).toEqual([0, 1_000]);
    expect(stand.kinds).toBe("push");
  });
});
