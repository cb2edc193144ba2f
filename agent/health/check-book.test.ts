import { beforeEach, expect, it } from "vitest";

import type { Address } from "../../shared/address.ts";
import type { WantedCheck } from "../declare/input.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { CheckBook } from "./check-book.ts";

let clock: FakeClock;
let book: CheckBook;
/** One entry a probe, with what ends it. */
let probes: { key: string; signal: AbortSignal; end: (fault?: string) => void }[];
let changes: number;
/** What probes find at once; a key that is not here is waited for. */
let found: Map<string, string | undefined>;

beforeEach(() => {
  clock = new FakeClock();
  probes = [];
  changes = 0;
  found = new Map();
  book = new CheckBook({
    clock,
    random: () => 0.5,
    onChange: () => {
      changes += 1;
    },
    probe: ({ key }, signal) => {
      const { promise, resolve } = Promise.withResolvers<string | undefined>();
      probes.push({ key, signal, end: resolve });
      if (found.has(key)) resolve(found.get(key));
      return promise;
    },
  });
});

it("probes a new check at once, then at every interval", async () => {
  found.set("web", undefined);
  book.want([check("web")]);
  await clock.advance(0);
  expect(probes).toHaveLength(1);
  expect(book.states()).toEqual(new Map([["web", "healthy"]]));
  await clock.advance(30_000);
  expect(probes).toHaveLength(4);
  expect(changes).toBe(1);
});

it("says starting before the first answer, and unhealthy with its reason after thirty failures, one a second", async () => {
  found.set("web", "it refuses");
  book.want([check("web")]);
  expect(book.states().get("web")).toBe("starting");
  expect(book.faultOf("web")).toBeUndefined();
  await clock.advance(28_500);
  expect(book.states().get("web")).toBe("starting");
  expect(book.faultOf("web")).toBe("it refuses");
  await clock.advance(1_000);
  expect(book.states().get("web")).toBe("unhealthy");
  found.set("web", undefined);
  await clock.advance(10_000);
  expect(book.states().get("web")).toBe("healthy");
  expect(book.faultOf("web")).toBeUndefined();
  expect(changes).toBe(2);
});

it("leaves a check that is still wanted alone", async () => {
  found.set("web", undefined);
  book.want([check("web")]);
  await clock.advance(0);
  book.want([check("web"), check("db")]);
  book.want([check("db"), check("web")]);
  await clock.advance(0);
  expect(probes.map(({ key }) => key)).toEqual(["web", "db"]);
  expect(book.states().get("web")).toBe("healthy");
});

it("ends a check that is wanted no more, with the probe under way, whose answer counts for nothing", async () => {
  book.want([check("web")]);
  book.want([]);
  expect(probes[0]?.signal.aborted).toBe(true);
  probes[0]?.end();
  await clock.advance(60_000);
  expect(book.states().size).toBe(0);
  expect(probes).toHaveLength(1);
  expect(changes).toBe(0);
});

it("runs at most 32 probes at once, and the others as places come free", async () => {
  const checks = Array.from({ length: 100 }, (_, index) => check(`c${index}`));
  book.want(checks);
  await clock.advance(0);
  expect(probes).toHaveLength(32);
  probes[5]?.end();
  await clock.advance(0);
  expect(probes.map(({ key }) => key)).toEqual(checks.slice(0, 33).map(({ key }) => key));
  for (let ended = 0; ended < probes.length; ended++) {
    probes[ended]?.end();
    await clock.advance(0);
  }
  expect(probes).toHaveLength(100);
});

it("never has two probes of one check under way, however long one takes", async () => {
  book.want([check("web")]);
  await clock.advance(60_000);
  expect(probes).toHaveLength(1);
  probes[0]?.end();
  await clock.advance(0);
  expect(probes).toHaveLength(2);
});

it("runs at most 1,000 checks; one more stays starting and says why, until there is room", async () => {
  const checks = Array.from({ length: 1_001 }, (_, index) => check(`c${index}`));
  book.want(checks);
  expect(book.states().size).toBe(1_001);
  expect(book.states().get("c1000")).toBe("starting");
  expect(book.faultOf("c1000")).toContain("at most 1000 checks");
  book.want(checks.slice(1));
  expect(book.faultOf("c1000")).toBeUndefined();
});

it("takes a probe that breaks for a failed one", async () => {
  const broken = new CheckBook({
    clock,
    random: () => 0.5,
    onChange: () => {},
    probe: () => Promise.reject(new Error("out of sockets")),
  });
  broken.want([check("web")]);
  await clock.advance(30_000);
  expect(broken.states().get("web")).toBe("unhealthy");
  expect(broken.faultOf("web")).toContain("out of sockets");
});

it("ends everything at its close, and takes up nothing after it", async () => {
  book.want([check("web")]);
  book.close();
  expect(probes[0]?.signal.aborted).toBe(true);
  book.want([check("db")]);
  await clock.advance(60_000);
  expect(probes).toHaveLength(1);
  expect(changes).toBe(0);
});

function check(key: string): WantedCheck {
  const address = "127.0.0.1" as Address;
  const pace = { intervalMs: 10_000, timeoutMs: 3_000 };
  return { key, container: key, httpPath: undefined, address, port: 80, ...pace };
}
