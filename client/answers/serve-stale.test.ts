import { beforeEach, describe, expect, test } from "vitest";

import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { parseName } from "../../shared/name.ts";
import { serviceRecords, startResolver, type TestResolver } from "../testing/doh-server.ts";
import { type StubBed, soon, startStubBed } from "../testing/stub-bed.ts";

const name = "web.berth.internal";
const owner = `_80._tcp.${name}`;
const ephemeral = 1;
const fixed = 5;
const hour = 3_600_000;

let bed: StubBed;

function recordsOf(ttl: number, port = 32768) {
  return serviceRecords(name, 80, [{ address: "10.0.0.5", port }]).map((rr) => ({ ...rr, ttl }));
}

/** Answered once with this TTL, which then ended. */
async function startWith(ttl: number): Promise<void> {
  bed.resolver.records = recordsOf(ttl);
  await bed.resolve(name, 80);
  await bed.clock.advance(ttl * 1000);
}

/** With the time a question may take: silence lasts as long. */
const breaks: [string, number, (resolver: TestResolver) => void][] = [
  ["cannot be reached", 10_000, (resolver) => resolver.close()],
  ["answers SERVFAIL", 10_000, (resolver) => resolver.faults.set(owner, Rcode.ServFail)],
  ["answers REFUSED", 10_000, (resolver) => resolver.faults.set(owner, Rcode.Refused)],
  ["is silent", 400, (resolver) => resolver.faults.set(owner, "silence")],
];

const stale = {
  kind: "endpoints",
  endpoints: [{ port: 32768 }],
  inZone: true,
  staleUntil: expect.any(Number),
};
const none = { kind: "no-answer" };

beforeEach(async () => {
  bed = await startStubBed();
});

describe.each(breaks)("while the resolver %s", { timeout: 30_000 }, (_, resolveTimeoutMs, breakDown) => {
  beforeEach(async () => {
    bed = await startStubBed({ settings: { resolveTimeoutMs } });
  });

  test.each([
    ["a fixed port stands in", fixed, 0, stale],
    ["a fixed port stands in for an hour", fixed, hour - 1, stale],
    ["a fixed port stands in for no longer", fixed, hour, none],
    ["an ephemeral port stands in", ephemeral, 0, stale],
    ["an ephemeral port stands in for 10 s", ephemeral, 9_999, stale],
    ["an ephemeral port stands in for no longer", ephemeral, 10_000, none],
  ])("%s", async (_, ttl, after, expected) => {
    await startWith(ttl);
    breakDown(bed.resolver);
    await bed.clock.advance(after);
    expect(await bed.resolve(name, 80)).toMatchObject(expected);
  });

  test("nothing stands in once the name was gone, or had no such port", async () => {
    await startWith(fixed);
    bed.resolver.records = [];
    expect(await bed.resolve(name, 80)).toMatchObject({ kind: "not-found" });
    await bed.clock.advance(5_000);
    breakDown(bed.resolver);
    expect(await bed.resolve(name, 80)).toMatchObject(none);
  });

  test("nothing stands in once the name itself was gone, whatever was asked about it", async () => {
    await startWith(fixed);
    bed.resolver.records = [];
    await bed.stub.ask(parseName(name), RRType.A, {});
    breakDown(bed.resolver);
    expect(await bed.resolve(name, 80)).toMatchObject(none);
  });

  test("nothing stands in for a fresh answer", async () => {
    await startWith(fixed);
    breakDown(bed.resolver);
    expect(await bed.resolve(name, 80, { fresh: true })).toMatchObject(none);
  });

  test("a name that was never answered has none", async () => {
    breakDown(bed.resolver);
    expect(await bed.resolve(name, 80)).toMatchObject(none);
  });
});

describe("an answer that stands in", { timeout: 30_000 }, () => {
  test("is counted, and does not count as an answer given", async () => {
    await startWith(fixed);
    bed.resolver.close();
    await bed.resolve(name, 80);
    expect(bed.stub.status()).toMatchObject({ stale: 1, resolvers: [{ state: "failing" }] });
    await bed.clock.advance(60_000);
    await bed.resolve(name, 80);
    expect(bed.stub.hasAnsweredWithin(parseName(name), 60_000)).toBe(false);
  });

  test("does so at once for a second after it was asked for in vain", async () => {
    await startWith(fixed);
    bed.resolver.faults.set(owner, Rcode.ServFail);
    for (let time = 0; time < 50; time++) expect(await bed.resolve(name, 80)).toMatchObject(stale);
    expect(bed.resolver.queries).toHaveLength(2);
    await bed.clock.advance(1_000);
    for (let time = 0; time < 50; time++) expect(await bed.resolve(name, 80)).toMatchObject(stale);
    expect(bed.resolver.queries).toHaveLength(3);
  });

  test("says how long it may stand in", async () => {
    await startWith(ephemeral);
    const tooOldAt = bed.clock.now() + 10_000;
    bed.resolver.faults.set(owner, Rcode.ServFail);
    expect(await bed.resolve(name, 80)).toMatchObject({ staleUntil: tooOldAt });
  });

  test("gives way to what the resolver says when it is back", async () => {
    await startWith(fixed);
    bed.resolver.faults.set(owner, Rcode.ServFail);
    await bed.resolve(name, 80);
    bed.resolver.faults.clear();
    bed.resolver.records = recordsOf(fixed, 32769);
    await bed.clock.advance(1_000);
    const answer = await bed.resolve(name, 80);
    expect(answer).toMatchObject({ kind: "endpoints", endpoints: [{ port: 32769 }] });
    expect(answer).not.toHaveProperty("staleUntil");
  });

  test("does not stand in for a resolver that wants a token", async () => {
    await startWith(fixed);
    bed.resolver.token = "secret";
    expect(await bed.resolve(name, 80)).toMatchObject({ kind: "no-token" });
  });
});

describe("a resolver that is slow", { timeout: 30_000 }, () => {
  const { promise, resolve: answerNow } = Promise.withResolvers<void>();

  test("is waited for 1.8 s, then 0.3 s, and its answer is taken when it comes", async () => {
    bed = await startStubBed({ settings: { resolveTimeoutMs: 20_000 } });
    await startWith(fixed);
    bed.resolver.records = recordsOf(fixed, 32769);
    bed.resolver.held = promise;

    const first = bed.resolve(name, 80);
    expect(await settledWithin(first, 1_799)).toBe(false);
    expect(await settledWithin(first, 1)).toBe(true);
    expect(await first).toMatchObject(stale);

    await bed.clock.advance(1_000);
    const second = bed.resolve(name, 80);
    expect(await settledWithin(second, 299)).toBe(false);
    expect(await settledWithin(second, 1)).toBe(true);
    expect(await second).toMatchObject(stale);

    answerNow();
    const destination = { kind: "name", name, port: 80 } as const;
    await soon(() => expect(bed.stub.resolveCached(destination)).toBeDefined());
    expect(await bed.resolve(name, 80)).toMatchObject({ endpoints: [{ port: 32769 }] });
    expect(bed.resolver.queries).toHaveLength(2);
  });
});

test("a second resolver answers before anything stands in", async () => {
  const second = await startResolver(recordsOf(fixed, 32769));
  const first = await startResolver(recordsOf(fixed));
  try {
    bed = await startStubBed({ settings: { resolver: [first.url, second.url] } });
    await bed.resolve(name, 80);
    await bed.clock.advance(5_000);
    first.close();
    const answer = await bed.resolve(name, 80);
    expect(answer).toMatchObject({ endpoints: [{ port: 32769 }] });
    expect(answer).not.toHaveProperty("staleUntil");
    expect(bed.stub.status().resolvers).toEqual([
      { url: first.url, state: "failing", fault: expect.stringContaining("no answer") },
      { url: second.url, state: "current" },
    ]);
  } finally {
    first.close();
    second.close();
  }
});

/** Whether it is settled when `ms` have passed. */
async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let isSettled = false;
  void promise.then(() => {
    isSettled = true;
  });
  await bed.clock.advance(ms);
  await bed.clock.advance(0);
  return isSettled;
}
