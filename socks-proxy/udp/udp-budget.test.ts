import { expect, test } from "vitest";

import { createUdpBudget, standardUdpBounds } from "./udp-budget.ts";

function places(take: () => (() => void) | undefined): (() => void)[] {
  const taken: (() => void)[] = [];
  for (let giveBack = take(); giveBack !== undefined; giveBack = take()) taken.push(giveBack);
  return taken;
}

test("each client has its own places, and gets back what it gave back", () => {
  const budget = createUdpBudget({
    associationsPerClient: 3,
    upstreamsPerClient: 2,
    upstreams: 3,
    waitingOctets: 10,
  });
  const taken = places(() => budget.association("10.0.0.1"));
  expect(taken).toHaveLength(3);
  expect(budget.association("10.0.0.2")).toBeDefined();
  taken[0]?.();
  expect(places(() => budget.association("10.0.0.1"))).toHaveLength(1);
});

test("sockets are bounded for one client and for all", () => {
  const budget = createUdpBudget({
    associationsPerClient: 1,
    upstreamsPerClient: 2,
    upstreams: 3,
    waitingOctets: 0,
  });
  const first = places(() => budget.upstream("10.0.0.1"));
  expect(first).toHaveLength(2);
  expect(places(() => budget.upstream("10.0.0.2"))).toHaveLength(1);
  for (const giveBack of first) giveBack();
  expect(places(() => budget.upstream("10.0.0.2"))).toHaveLength(1);
  expect(places(() => budget.upstream("10.0.0.1"))).toHaveLength(1);
});

test("waiting datagrams are bounded by their octets", () => {
  const budget = createUdpBudget({
    associationsPerClient: 1,
    upstreamsPerClient: 1,
    upstreams: 1,
    waitingOctets: 10,
  });
  const giveBack = budget.waiting(6);
  expect(budget.waiting(5)).toBeUndefined();
  expect(budget.waiting(4)).toBeDefined();
  giveBack?.();
  expect(budget.waiting(6)).toBeDefined();
});

test("an IPv6 network of 64 bits is one client", () => {
  const budget = createUdpBudget({ ...standardUdpBounds, associationsPerClient: 1, upstreamsPerClient: 1 });
  const giveBack = budget.association("2001:db8::1");
  expect(budget.association("2001:db8::2")).toBeUndefined();
  expect(budget.association("2001:db8:0:1::1")).toBeDefined();
  giveBack?.();
  expect(budget.association("2001:db8::2")).toBeDefined();
  expect([budget.upstream("2001:db8::1"), budget.upstream("2001:db8::2")].map(Boolean)).toEqual([
    true,
    false,
  ]);
});
