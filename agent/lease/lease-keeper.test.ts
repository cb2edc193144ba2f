import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { Name } from "../../shared/name.ts";
import type { FakeClock } from "../testing/fake-clock.ts";
import { errorAnswer, type FakeResolver } from "../testing/fake-resolver.ts";
import { declaredOf, KeeperStand } from "../testing/keeper-stand.ts";
import type { RecordedLog } from "../testing/recorded-log.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

let stand: KeeperStand;
let clock: FakeClock;
let resolver: FakeResolver;
let log: RecordedLog;
let keeper: LeaseKeeper;

beforeEach(() => {
  stand = new KeeperStand();
  ({ clock, resolver, log, keeper } = stand);
});
afterEach(() => stand.end());

describe("renewal", () => {
  test("nothing offered, nothing sent", async () => {
    await clock.advance(60_000);
    expect(resolver.requests).toEqual([]);
  });

  test("one push, then a renewal at each third of the granted lease", async () => {
    resolver.registry.lease = 30;
    keeper.offer(declaredOf("web"));
    await clock.advance(20_000);
    expect(stand.kinds).toBe("push renew renew");
    expect(stand.times).toEqual([0, 10_000, 20_000]);
    expect(stand.turns).toBe("1.1 1.3 1.4");
  });

  test("the third counts from sending, not from the reply", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const fetch = resolver.fetch;
    const slow = async (...call: Parameters<typeof fetch>) => {
      const reply = await fetch(...call);
      if (reply.ok) await promise;
      return reply;
    };
    Object.assign(resolver, { fetch: slow });
    keeper.offer(declaredOf("web"));
    await clock.advance(3_000);
    resolve();
    await clock.advance(2_000);
    expect(stand.times).toEqual([0, 5_000]);
  });

  test("the same set, built anew in another order, is not pushed again", async () => {
    keeper.offer(declaredOf("web", "api"));
    await clock.advance(1_000);
    keeper.offer({ ...declaredOf("web", "api"), bindings: declaredOf("web", "api").bindings.toReversed() });
    await clock.advance(1_000);
    expect(stand.kinds).toBe("push");
  });

  test("nothing is renewed while nothing can be vouched for, and goes on when it can", async () => {
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    keeper.offer(undefined);
    await clock.advance(12_000);
    expect(stand.kinds).toBe("push");
    keeper.offer(declaredOf("web"));
    await clock.advance(0);
    expect(stand.kinds).toBe("push renew");
  });

  test("a resolver that grants nothing is not asked without pause", async () => {
    resolver.reply.lease = 0;
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    expect(resolver.requests.length).toBeLessThan(6);
  });
});

describe("a changed set", () => {
  test("is pushed at once, and the renewal counts from it", async () => {
    keeper.offer(declaredOf("web"));
    await clock.advance(3_000);
    keeper.offer(declaredOf("web", "api"));
    await clock.advance(5_000);
    expect(stand.kinds).toBe("push push renew");
    expect(stand.times).toEqual([0, 3_000, 8_000]);
  });

  test("changes made during a push are merged into the next", async () => {
    keeper.offer(declaredOf("one"));
    keeper.offer(declaredOf("one", "two"));
    await clock.advance(0);
    expect(stand.kinds).toBe("push");
    expect(resolver.last?.declared?.bindings.some(({ container }) => container === "two")).toBe(true);
  });

  test("a lost reply: pushed again, with a new sequence", async () => {
    resolver.answers.push("lost");
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    expect(stand.kinds).toBe("push push");
    expect(stand.turns).toBe("1.1 1.2");
  });

  test("a lost reply, and the set is the old one again: what the resolver holds is found out", async () => {
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    resolver.answers.push("lost");
    keeper.offer(declaredOf("api"));
    await clock.advance(0);
    keeper.offer(declaredOf("web"));
    await clock.advance(5_000);
    expect(stand.kinds).toBe("push push renew push");
    expect(resolver.declaredPorts).toEqual(["web.berth.internal. 32768"]);
  });
});

describe("409", () => {
  test("unknown-digest: the whole set at once", async () => {
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    resolver.registry.forget();
    await clock.advance(4_000);
    expect(stand.kinds).toBe("push renew push");
    expect(stand.times).toEqual([0, 5_000, 5_000]);
    expect(log.matching(/warn|error/)).toEqual([]);
  });

  test("superseded at the first push: the epoch goes above the held one, once", async () => {
    resolver.answers.push(errorAnswer(409, "superseded", { heldEpoch: 7, leaseRemaining: 9 }));
    keeper.offer(declaredOf("web"));
    await clock.advance(0);
    expect(stand.turns).toBe("1.1 8.2");
    expect(log.matching(/warn|error/)).toEqual([]);
  });

  test("superseded again: it stops, says why, and asks again only after the other's lease", async () => {
    keeper.offer(declaredOf("web"));
    await clock.advance(1_000);
    resolver.answers.push(errorAnswer(409, "superseded", { heldEpoch: 2, leaseRemaining: 9 }));
    await clock.advance(4_000);
    keeper.offer(declaredOf("web", "api"));
    await clock.advance(9_000);
    expect(stand.kinds).toBe("push renew");
    expect(log.matching(/^error .*another process uses this host's key.*remove host\.key/)).toHaveLength(1);
    expect(keeper.state.leaseMs, "the other's lease is none of ours").toBeUndefined();
    await clock.advance(1_000);
    expect(stand.kinds).toMatch(/^push renew push/);
  });

  test("superseded twice before the first push is taken: another process starts as we do", async () => {
    for (const heldEpoch of [7, 9])
      resolver.answers.push(errorAnswer(409, "superseded", { heldEpoch, leaseRemaining: 15 }));
    keeper.offer(declaredOf("web"));
    await clock.advance(15_000);
    expect(stand.turns).toBe("1.1 8.2");
    expect(log.matching(/^error/)).toHaveLength(1);
  });
});

describe("trouble", () => {
  test("no resolver: one warning, backoff up to 10 s, one line when it is back", async () => {
    resolver.isDown = true;
    keeper.offer(declaredOf("web"));
    await clock.advance(60_000);
    resolver.isDown = false;
    await clock.advance(10_000);
    expect(stand.kinds).toMatch(/^push/);
    expect(log.matching(/^(warn|info) .*resolver/)).toEqual([
      "warn no reply from the resolver at https://resolver.example:8053: fetch failed",
      "info the resolver at https://resolver.example:8053 takes this host's names again",
    ]);
  });

  test("a change while the resolver is away does not hasten the next attempt", async () => {
    resolver.answers.push("unreachable", "unreachable", "unreachable", "unreachable");
    keeper.offer(declaredOf("web"));
    await clock.advance(0);
    for (const name of ["aa", "bb", "cc"]) {
      keeper.offer(declaredOf(name));
      await clock.advance(10);
    }
    expect(resolver.requests).toHaveLength(1);
    await clock.advance(470);
    expect(resolver.requests).toHaveLength(2);
  });

  test.each([401, 403, 413, 422])(
    "%i: the resolver's sentence once, attempts up to 30 s apart",
    async (status) => {
      for (let count = 0; count < 6; count++) resolver.answers.push(errorAnswer(status, "refused-so"));
      keeper.offer(declaredOf("web"));
      await clock.advance(92_000);
      expect(stand.times).toEqual([0, 2_000, 6_000, 14_000, 30_000, 60_000, 90_000]);
      expect(log.matching(/warn/)).toEqual([expect.stringMatching(/says: it is refused-so/)]);
      expect(log.matching(/^info .*again/)).toHaveLength(1);
    },
  );

  test("another sentence is news", async () => {
    resolver.answers.push(errorAnswer(401, "unknown-token"), errorAnswer(403, "not-yours"));
    keeper.offer(declaredOf("web"));
    await clock.advance(10_000);
    expect(log.matching(/warn/)).toHaveLength(2);
  });

  test("no token yet: one line, and it is read again", async () => {
    stand.token = async () => {
      throw new Error("no token file");
    };
    keeper.offer(declaredOf("web"));
    await clock.advance(5_000);
    expect(log.matching(/warn/)).toEqual(["warn no token file"]);
    stand.token = async () => "secret";
    await clock.advance(10_000);
    expect(stand.kinds).toMatch(/^push/);
  });
});

describe("grants", () => {
  test("a refused name is logged once per change", async () => {
    resolver.reply.refused = [
      { name: "web.berth.internal." as Name, code: "held", message: "host b holds it" },
    ];
    keeper.offer(declaredOf("web"));
    await clock.advance(11_000);
    resolver.reply.refused = [];
    await clock.advance(10_000);
    expect(log.matching(/^(warn|info) .*resolver/)).toEqual([
      "warn the resolver does not grant web.berth.internal: host b holds it",
      "info the resolver grants every name",
    ]);
  });

  test("another host label is logged once, and once when it is the own again", async () => {
    resolver.reply.hostLabel = "alpha-2";
    keeper.offer(declaredOf("web"));
    await clock.advance(11_000);
    resolver.reply.hostLabel = "alpha";
    await clock.advance(10_000);
    expect(log.matching(/stand under/)).toEqual([
      expect.stringMatching(/^warn .*"alpha-2".*--host-label/),
      expect.stringMatching(/^info .*"alpha" again/),
    ]);
  });
});

test("close ends a request under way, and sends nothing more", async () => {
  let aborted = false;
  Object.assign(resolver, {
    fetch: (_: string, init: RequestInit) =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      }),
  });
  keeper.offer(declaredOf("web"));
  await clock.advance(0);
  keeper.close();
  await stand.end();
  expect(aborted).toBe(true);
  expect(log.lines).toEqual([]);
});
