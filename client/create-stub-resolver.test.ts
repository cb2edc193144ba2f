import { describe, expect, test } from "vitest";

import { RRType } from "../shared/dns/constants.ts";
import type { RR } from "../shared/dns/message.ts";
import { parseName } from "../shared/name.ts";
import { addressRecord, serviceRecords } from "./testing/doh-server.ts";
import { soon, startStubBed } from "./testing/stub-bed.ts";

const name = "web.berth.internal";
const owner = parseName(`_80._tcp.${name}`);
const records = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32768 }]);
const moved = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32769 }]);
const at = (port: number) => ({ kind: "endpoints", endpoints: [{ port }], inZone: true });

describe("an answer", () => {
  test("is remembered for its TTL, of all spellings of a name, and is there at once", async () => {
    const { stub, resolver, clock, resolve } = await startStubBed({ records });
    const destination = { kind: "name", name, port: 80 } as const;
    expect(stub.resolveCached(destination)).toBeUndefined();
    expect(await resolve(name, 80)).toMatchObject(at(32768));
    resolver.records = moved;
    await clock.advance(4_999);
    expect(await resolve("WEB.Berth.internal.", 80)).toMatchObject(at(32768));
    expect(stub.resolveCached(destination)).toMatchObject(at(32768));
    expect(resolver.queries).toHaveLength(1);
    await clock.advance(1);
    expect(stub.resolveCached(destination)).toBeUndefined();
    expect(await resolve(name, 80)).toMatchObject(at(32769));
  });

  test("loses of its TTL what it spent in a cache on the way", async () => {
    const { resolver, clock, resolve } = await startStubBed({ records });
    resolver.headers = { age: "3" };
    await resolve(name, 80);
    await clock.advance(1_999);
    await resolve(name, 80);
    expect(resolver.queries).toHaveLength(1);
    await clock.advance(1);
    await resolve(name, 80);
    expect(resolver.queries).toHaveLength(2);
  });

  test("that there is nothing is remembered for a second", async () => {
    const { resolver, clock, resolve } = await startStubBed();
    const absent = { kind: "not-found" };
    expect(await resolve(name, 80)).toMatchObject(absent);
    resolver.records = records;
    expect(await resolve(name, 80)).toMatchObject(absent);
    expect(resolver.queries).toHaveLength(3);
    await clock.advance(1_000);
    expect(await resolve(name, 80)).toMatchObject(at(32768));
  });

  test("is counted", async () => {
    const { stub, resolve } = await startStubBed({ records });
    for (let time = 0; time < 3; time++) await resolve(name, 80);
    expect(stub.status()).toMatchObject({ cached: 1, hits: 2, misses: 1, stale: 0 });
  });

  test("with endpoints is remembered to have been given, for as long as somebody wants to know", async () => {
    const { stub, clock, resolve } = await startStubBed({ records });
    const hasAnswered = (ms: number) => stub.hasAnsweredWithin(parseName(name), ms);
    await resolve(name, 22);
    expect(hasAnswered(60_000)).toBe(false);
    await resolve("Web.berth.internal.", 80);
    await clock.advance(60_000);
    expect(hasAnswered(60_000)).toBe(true);
    await clock.advance(1);
    expect(hasAnswered(60_000)).toBe(false);
  });

  test("with endpoints is remembered of the very port it was about", async () => {
    const { stub, clock, resolve } = await startStubBed({ records });
    const hasAnswered = (protocol: "tcp" | "udp", port: number) =>
      stub.hasAnsweredWithin(parseName(name), 60_000, { protocol, port });
    await resolve(name, 443);
    await resolve("Web.berth.internal.", 80);
    expect([hasAnswered("tcp", 80), hasAnswered("udp", 80), hasAnswered("tcp", 443)]).toEqual([
      true,
      false,
      false,
    ]);
    await clock.advance(60_001);
    expect(hasAnswered("tcp", 80)).toBe(false);
  });
});

describe("a question", () => {
  test("is asked once, however many wait for it", async () => {
    const { resolver, resolve } = await startStubBed({ records });
    const { promise, resolve: answerNow } = Promise.withResolvers<void>();
    resolver.held = promise;
    const answers = Array.from({ length: 500 }, () => resolve(name, 80));
    answerNow();
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(at(32768));
    expect(resolver.queries).toHaveLength(1);
  });

  test("for a fresh answer goes past every cache, and renews what is remembered", async () => {
    const { resolver, resolve } = await startStubBed({ records });
    await resolve(name, 80);
    resolver.records = moved;
    expect(await resolve(name, 80, { fresh: true })).toMatchObject(at(32769));
    expect(resolver.freshQueries).toEqual([`SRV _80._tcp.${name}`]);
    expect(await resolve(name, 80)).toMatchObject(at(32769));
    expect(resolver.queries).toHaveLength(2);
  });

  test("for a fresh answer waits for the one under way, and shares the next with the others", async () => {
    const { resolver, resolve } = await startStubBed({ records });
    const { promise, resolve: answerNow } = Promise.withResolvers<void>();
    resolver.held = promise;
    const old = resolve(name, 80);
    const fresh = Array.from({ length: 50 }, () => resolve(name, 80, { fresh: true }));
    answerNow();
    expect(await old).toMatchObject(at(32768));
    for (const answer of await Promise.all(fresh)) expect(answer).toMatchObject(at(32768));
    expect(resolver.queries).toHaveLength(2);
    expect(resolver.freshQueries).toHaveLength(1);
  });

  test("goes on for the others when one who waited has gone", async () => {
    const { resolver, resolve } = await startStubBed({ records });
    const { promise, resolve: answerNow } = Promise.withResolvers<void>();
    resolver.held = promise;
    const leaving = new AbortController();
    const [left, stays] = [resolve(name, 80, { signal: leaving.signal }), resolve(name, 80)];
    leaving.abort();
    expect(await left).toMatchObject({ kind: "no-answer" });
    answerNow();
    expect(await stays).toMatchObject(at(32768));
    expect(await resolve(name, 80, { signal: leaving.signal })).toMatchObject(at(32768));
    expect(resolver.queries).toHaveLength(1);
  });

  test("ends when the whole is closed", async () => {
    const { stub, resolver, resolve } = await startStubBed({ records });
    resolver.held = new Promise(() => {});
    const answer = resolve(name, 80);
    await soon(() => expect(resolver.connections()).toBe(1));
    await stub.close();
    expect(await answer).toMatchObject({ kind: "no-answer" });
  });
});

describe("what a resolver should not say", () => {
  const other = addressRecord("other.berth.internal", "10.0.0.66");

  test("an answer about another name is none, and is not remembered", async () => {
    const { resolver, stub } = await startStubBed({ records: [other] });
    resolver.answersAlways = [other];
    const asked = await stub.ask(parseName(name), RRType.A, {});
    expect(asked).toMatchObject({ kind: "failed", failure: { kind: "no-answer" } });
    expect(stub.status().cached).toBe(0);
  });

  test("what comes with an answer to the question is left out", async () => {
    const { resolver, stub } = await startStubBed({ records });
    const own = addressRecord(name, "10.0.0.5");
    resolver.answersAlways = [own, other];
    const asked = await stub.ask(parseName(name), RRType.A, {});
    expect(asked).toMatchObject({ kind: "exists", response: { answer: [own] } });
    expect(asked.kind === "exists" && asked.response.answer).toHaveLength(1);
    // The other name is not known by it.
    resolver.answersAlways = undefined;
    await stub.ask(other.name, RRType.A, {});
    expect(resolver.queries).toHaveLength(2);
  });

  test("hundreds of targets are taken for what they are, and only some are asked for", async () => {
    const targets = Array.from({ length: 800 }, (_, index): RR => {
      const target = parseName(`h${index}.host.berth.internal`);
      return { name: owner, ttl: 5, rdata: { type: RRType.SRV, priority: 0, weight: 0, port: 80, target } };
    });
    const addresses = [addressRecord("h3.host.berth.internal", "10.0.0.3")];
    const { resolver, stub, resolve } = await startStubBed({ records: [...targets, ...addresses] });
    resolver.bare = true;
    expect(await resolve(name, 80)).toMatchObject({ endpoints: [{ addresses: ["10.0.0.3"] }] });
    expect(resolver.queries.length).toBeLessThan(20);
    expect(stub.status().cached).toBeLessThan(20);
  });
});
