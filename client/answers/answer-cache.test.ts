import { describe, expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import { AnswerCache, serviceOf } from "./answer-cache.ts";

const web = parseName("web.berth.internal");
const db = parseName("db.berth.internal");
const webPort = parseName("_80._tcp.web.berth.internal");
const webPorts = parseName("_tcp.web.berth.internal");
const [A, SRV, PTR] = [1, 33, 12];

function cacheOf(limits = {}) {
  const cache = new AnswerCache<string>({ answers: 100, weight: 1000, ...limits });
  const keep = (
    name: typeof web,
    kind: number,
    value: string,
    { goodMs = 1000, staleMs = 0, weight = 1 } = {},
  ) => cache.keep(name, kind, { value, weight, goodMs, staleMs }, 0);
  return { cache, keep };
}

describe("an answer", () => {
  test("is recalled while it is good, by its name and its kind", () => {
    const { cache, keep } = cacheOf();
    keep(webPort, SRV, "here");
    expect(cache.recall(webPort, SRV, 999)).toBe("here");
    expect(cache.recall(webPort, SRV, 1000)).toBeUndefined();
    expect(cache.recall(webPort, A, 0)).toBeUndefined();
    expect(cache.recall(web, SRV, 0)).toBeUndefined();
  });

  test("may stand in after that for as long as it says, and no longer", () => {
    const { cache, keep } = cacheOf();
    keep(webPort, SRV, "here", { staleMs: 500 });
    expect(cache.recallStale(webPort, SRV, 1499)).toMatchObject({ value: "here", failedAt: undefined });
    cache.failed(webPort, SRV, 1200);
    expect(cache.recallStale(webPort, SRV, 1300)).toMatchObject({ failedAt: 1200 });
    expect(cache.recallStale(webPort, SRV, 1500)).toBeUndefined();
  });

  test("takes the place of the one before, also when it is good for no time", () => {
    const { cache, keep } = cacheOf();
    keep(webPort, SRV, "first", { staleMs: 9000 });
    keep(webPort, SRV, "second");
    expect(cache.recall(webPort, SRV, 0)).toBe("second");
    keep(webPort, SRV, "third", { goodMs: 0 });
    expect(cache.recallStale(webPort, SRV, 0)).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  test("that was too old when it came may still stand in", () => {
    const { cache, keep } = cacheOf();
    keep(webPort, SRV, "old", { goodMs: -2000, staleMs: 10_000 });
    expect(cache.recall(webPort, SRV, 0)).toBeUndefined();
    expect(cache.recallStale(webPort, SRV, 7_999)).toMatchObject({ value: "old" });
    expect(cache.recallStale(webPort, SRV, 8_000)).toBeUndefined();
  });
});

describe("when there is no room", () => {
  test("the answer nobody wanted for longest goes first", () => {
    const { cache, keep } = cacheOf({ answers: 3 });
    keep(web, A, "web");
    keep(db, A, "db");
    keep(webPort, SRV, "port");
    cache.recall(web, A, 0);
    cache.recallStale(db, A, 0);
    keep(webPorts, PTR, "ports");
    expect(cache.size).toBe(3);
    expect(cache.recall(webPort, SRV, 0)).toBeUndefined();
    expect(cache.recall(web, A, 0)).toBe("web");
    expect(cache.recall(db, A, 0)).toBe("db");
  });

  test("a long answer counts for as much as it holds", () => {
    const { cache, keep } = cacheOf({ weight: 10 });
    for (let port = 0; port < 10; port++) keep(web, port, "short");
    keep(db, A, "long", { weight: 8 });
    expect(cache.size).toBe(3);
    keep(db, A, "short", { weight: 1 });
    keep(web, 100, "short", { weight: 7 });
    expect(cache.size).toBe(4);
    keep(db, SRV, "longer than all", { weight: 11 });
    expect(cache.size).toBe(0);
  });
});

describe("what changed", () => {
  test("takes all answers of the service with it, and no others", () => {
    const { cache, keep } = cacheOf();
    keep(web, A, "address");
    keep(webPort, SRV, "port");
    keep(webPorts, PTR, "ports");
    keep(db, A, "other");
    cache.drop([web]);
    expect(cache.size).toBe(1);
    expect(cache.recall(db, A, 0)).toBe("other");
    cache.clear();
    expect(cache.size).toBe(0);
  });

  test("a name that does not exist has nothing below it", () => {
    const { cache, keep } = cacheOf();
    const positive = { staleMs: 1 };
    keep(web, A, "address", positive);
    keep(webPort, SRV, "port", positive);
    keep(webPorts, PTR, "ports", positive);
    cache.dropBelow(webPort);
    expect(cache.recall(webPorts, PTR, 0)).toBe("ports");
    keep(webPort, SRV, "port", positive);
    cache.dropBelow(webPorts);
    expect([cache.recall(webPort, SRV, 0), cache.recall(web, A, 0)]).toEqual([undefined, "address"]);
    keep(webPort, SRV, "nothing");
    cache.dropBelow(web);
    expect(cache.recall(webPort, SRV, 0)).toBe("nothing");
    expect(cache.size).toBe(1);
  });
});

test.each([
  ["web.berth.internal", "web.berth.internal."],
  ["_80._tcp.web.berth.internal", "web.berth.internal."],
  ["_tcp.berth.internal", "berth.internal."],
  ["_tcp", "."],
])("%s belongs to %s", (owner, service) => {
  expect(serviceOf(parseName(owner))).toBe(service);
});
