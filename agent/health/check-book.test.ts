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

it("says starting before the first answer, and a problem with its reason after thirty failures, one a second", async () => {
  found.set("web", "it refuses");
  book.want([check("web")]);
  expect(book.states().get("web")).toBe("starting");
  expect(book.faultOf("web")).toBeUndefined();
  await clock.advance(28_500);
  expect(book.states().get("web")).toBe("starting");
  expect(book.faultOf("web")).toBe("it refuses");
  expect(book.problems).toEqual([]);
  await clock.advance(1_000);
  expect(book.states().get("web")).toBe("starting");
  expect(book.problems).toEqual([expect.objectContaining({ container: "web", code: "check-fails" })]);
  found.set("web", undefined);
  await clock.advance(10_000);
  expect(book.states().get("web")).toBe("healthy");
  expect(book.faultOf("web")).toBeUndefined();
  expect(book.problems).toEqual([]);
  // Its first answer, that it is overdue, and its recovery.
  expect(changes).toBe(3);
});

it("says when every check has had an answer", async () => {
  found.set("web", "it refuses");
  book.want([check("web"), check("db")]);
  await clock.advance(100);
  expect(book.areAnswered).toBe(false);
  probes[1]?.end();
  await clock.advance(100);
  expect(book.areAnswered).toBe(true);
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

it("runs at most 64 probes at once, and the others as places come free", async () => {
  const checks = Array.from({ length: 100 }, (_, index) => check(`c${index}`));
  book.want(checks);
  await clock.advance(0);
  expect(probes).toHaveLength(64);
  probes[5]?.end();
  await clock.advance(0);
  expect(probes.map(({ key }) => key)).toEqual(checks.slice(0, 65).map(({ key }) => key));
  for (let ended = 0; ended < probes.length; ended++) {
    probes[ended]?.end();
    await clock.advance(0);
  }
  expect(probes).toHaveLength(100);
});

it("has two probes of one container under way, so that it does not hold up the others", async () => {
  const slow = Array.from({ length: 64 }, (_, index) => ({ ...check(`s${index}`), container: "slow" }));
  found.set("web", undefined);
  book.want([...slow, check("web")]);
  await clock.advance(0);
  expect(probes.map(({ key }) => key)).toEqual(["s0", "web", "s1"]);
  expect(book.states().get("web")).toBe("healthy");
  for (let ended = 0; ended < probes.length; ended++) {
    probes[ended]?.end();
    await clock.advance(0);
  }
  expect(new Set(probes.map(({ key }) => key)).size).toBe(65);
});

it("never has two probes of one check under way, however long one takes", async () => {
  book.want([check("web")]);
  await clock.advance(60_000);
  expect(probes).toHaveLength(1);
  probes[0]?.end();
  await clock.advance(0);
  expect(probes).toHaveLength(2);
});

it("runs at most 1,000 checks; one more counts as healthy and is a problem, until there is room", async () => {
  const checks = Array.from({ length: 1_001 }, (_, index) => check(`c${index}`));
  book.want(checks);
  expect(book.states().size).toBe(1_001);
  expect(book.states().get("c1000")).toBe("healthy");
  expect(book.problems).toEqual([expect.objectContaining({ container: "c1000", code: "too-many" })]);
  expect(book.faultOf("c1000")).toContain("at most 1000 checks");
  book.want(checks.slice(1));
  expect(book.faultOf("c1000")).toBeUndefined();
});

it("takes one too many for healthy only where an engine vouches for what it would ask", async () => {
  const services = Array.from({ length: 1_001 }, (_, index) => ({
    ...check(`s${index}`),
    isOnlyWitness: true as const,
  }));
  book.want(services);
  expect(book.states().get("s1000")).toBe("starting");
  expect(book.problems).toEqual([
    expect.objectContaining({ container: "s1000", message: expect.stringContaining("is not declared") }),
  ]);
  expect(book.faultOf("s1000")).toContain("is not declared");
});

it("gives every container its first check before any container a second one", async () => {
  const many = Array.from({ length: 1_200 }, (_, index) => ({
    ...check(`a${index}`),
    container: `a${index % 10}`,
  }));
  book.want([...many, check("web")]);
  expect(book.faultOf("web")).toBeUndefined();
  expect(book.faultOf("a0")).toBeUndefined();
  expect(book.faultOf("a1199")).toContain("at most 1000 checks");
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
  expect(broken.problems).toHaveLength(1);
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
