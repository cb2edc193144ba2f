import { afterEach, beforeEach, expect, test } from "vitest";

import type { FakeClock } from "../testing/fake-clock.ts";
import { errorAnswer, type FakeResolver } from "../testing/fake-resolver.ts";
import { declaredOf, KeeperStand } from "../testing/keeper-stand.ts";

const [a, b, c] = ["https://a.example", "https://b.example:8053", "https://c.example/berth"] as const;

let stand: KeeperStand;
let clock: FakeClock;
let resolver: FakeResolver;

beforeEach(() => {
  stand = new KeeperStand({ urls: [a, b, c] });
  ({ clock, resolver } = stand);
});
afterEach(() => stand.end());

test("the first one is pushed to, and kept to while it answers", async () => {
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(11_000);
  expect(stand.origins).toBe("a a a");
  expect(stand.keeper.resolverUrl).toBe(a);
});

test("unreachable: the next one is told the same at once, and kept to", async () => {
  resolver.down.add(a);
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(6_000);
  resolver.down.clear();
  await clock.advance(60_000);
  expect(new Set(stand.origins.split(" "))).toEqual(new Set(["b"]));
  expect(stand.times.slice(0, 2)).toEqual([0, 5_000]);
  expect(stand.log.matching(/warn|takes/)).toEqual([
    "warn no reply from the resolver at https://a.example: fetch failed",
    "info the resolver at https://b.example:8053 takes this host's names again",
  ]);
});

test("one that failed may have the next turn, once another has worked in between", async () => {
  resolver.down.add(a);
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(12_000);
  resolver.down.clear();
  resolver.down.add("https://b.example:8053");
  await clock.advance(5_000);
  expect(stand.origins).toBe("b b b a");
  expect(stand.times.at(-1)).toBe(15_000);
});

test.each([500, 503])("%i: as when it cannot be reached", async (status) => {
  resolver.answers.push(errorAnswer(status, "store-unavailable"));
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(0);
  expect(stand.origins).toBe("a b");
  expect(stand.turns).toBe("1.1 1.2");
});

test.each([401, 403, 413])("%i is the registry's own word: no other one is asked", async (status) => {
  resolver.answers.push(errorAnswer(status, "refused-so"));
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(2_500);
  expect(stand.origins).toBe("a a");
});

test("the next one knows what the one before accepted: a renewal is enough", async () => {
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  resolver.down.add(a);
  await clock.advance(4_000);
  expect(stand.kinds).toBe("push renew");
  expect(stand.origins).toBe("a b");
  expect(stand.times).toEqual([0, 5_000]);
});

test("unless it does not: then it is told the whole set", async () => {
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  resolver.down.add(a);
  resolver.registry.forget();
  await clock.advance(4_000);
  expect(stand.kinds).toBe("push renew push");
  expect(stand.origins).toBe("a b b");
});

test.each([
  ["one registry's life", undefined, 1],
  ["each a life of its own", "life-b", 2],
])("%s: generations are learnt once", async (_, generation, outdated) => {
  if (generation !== undefined) resolver.generations.set("https://b.example:8053", generation);
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  for (const next of [a, "https://b.example:8053", a]) {
    resolver.down.clear();
    resolver.down.add(next);
    resolver.down.add("https://c.example");
    await clock.advance(15_000);
  }
  expect(new Set(stand.origins.split(" "))).toEqual(new Set(["a", "b"]));
  expect(resolver.outdated).toBe(outdated);
});

test("none left: all are asked once, then there is a pause, growing to 10 s; one line in the log", async () => {
  resolver.isDown = true;
  const asked: string[] = [];
  const { fetch } = resolver;
  Object.assign(resolver, {
    fetch: (...call: Parameters<typeof fetch>) => {
      asked.push(`${clock.now()} ${new URL(String(call[0])).hostname[0]}`);
      return fetch(...call);
    },
  });
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_600);
  expect(asked).toEqual(["0 a", "0 b", "0 c", "500 a", "500 b", "500 c", "1500 a", "1500 b", "1500 c"]);
  await clock.advance(60_000);
  expect(stand.log.matching(/warn/)).toHaveLength(1);
});

test("two troubles in turns are two lines, not two each round", async () => {
  const both = [errorAnswer(503, "store-unavailable"), errorAnswer(500, "internal"), "unreachable" as const];
  for (let round = 0; round < 5; round++) resolver.answers.push(...both);
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(60_000);
  expect(stand.log.matching(/^warn/)).toHaveLength(3);
  expect(stand.log.matching(/^info .*takes/)).toHaveLength(1);
});

test("a token that cannot be read is no resolver's fault", async () => {
  stand.token = async () => {
    throw new Error("no token file");
  };
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(10_000);
  expect(stand.keeper.resolverUrl).toBe(a);
});

test.each(["unknown-token", "token-expired", "token-revoked"])(
  "%s: what to do, once; and the file is read again at every request",
  async (code) => {
    for (let count = 0; count < 4; count++) resolver.answers.push(errorAnswer(401, code));
    stand.keeper.offer(declaredOf("web"));
    await clock.advance(10_000);
    expect(stand.log.matching(/^warn/)).toEqual([
      expect.stringMatching(/a\.example says: .*put a token .* into \/etc\/berth\/agent\.token/),
    ]);
    resolver.answers.length = 0;
    stand.token = async () => "newer";
    await clock.advance(30_000);
    expect(resolver.last?.token).toBe("Bearer newer");
    expect(stand.log.matching(/secret|newer/)).toEqual([]);
  },
);

test("1001 on the link: the next one is used from the next renewal on, with a link of its own", async () => {
  stand.links.refusal = undefined;
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  stand.links.last?.end(1001);
  await clock.advance(10_000);
  expect(stand.links.all.map(({ origin }) => origin)).toEqual([a, "https://b.example:8053"]);
  expect(stand.links.last?.isOpen).toBe(true);
  expect(stand.kinds).toBe("push");
  expect(stand.log.matching(/warn/)).toEqual([]);
});

test("a push that fails over takes the link along", async () => {
  stand.links.refusal = undefined;
  stand.keeper.offer(declaredOf("web"));
  await clock.advance(1_000);
  resolver.answers.push(errorAnswer(503, "store-unavailable"));
  stand.keeper.offer(declaredOf("api"));
  await clock.advance(1_000);
  expect(stand.links.all.map(({ left }) => left)).toEqual(["closed", undefined]);
  expect(stand.links.last?.origin).toBe("https://b.example:8053");
});

test("a resolver below a path of its own", async () => {
  await stand.end();
  stand = new KeeperStand({ urls: [c] });
  stand.links.refusal = undefined;
  stand.keeper.offer(declaredOf("web"));
  await stand.clock.advance(1_000);
  expect(stand.kinds).toBe("push");
  expect(stand.links.last?.isOpen).toBe(true);
});
