import { describe, expect, test } from "vitest";

import type { Endpoint } from "../shared/dns/endpoints.ts";
import { orderEndpoints } from "./endpoint-order.ts";
import { addressOf } from "./testing/doh-server.ts";
import { seededRandom } from "./testing/random.ts";

const rounds = 4_000;

describe("RFC 2782 order", () => {
  test("lower priority first, whatever the weights", () => {
    const endpoints = [endpoint(1, 20, 60_000), endpoint(2, 0, 0), endpoint(3, 10, 9)];
    expect(portsOf(orderEndpoints(endpoints, seededRandom(1)))).toEqual([2, 3, 1]);
  });

  test("every endpoint is there once, for the extremes of random too", () => {
    const endpoints = [endpoint(1, 0, 0), endpoint(2, 0, 65_535), endpoint(3, 0, 1), endpoint(4, 1, 0)];
    for (const random of [() => 0, () => 1 - Number.EPSILON, seededRandom(7)]) {
      expect(portsOf(orderEndpoints(endpoints, random)).toSorted()).toEqual([1, 2, 3, 4]);
    }
  });

  test("weights share the first place in proportion", () => {
    const shares = firstPlaces([endpoint(1, 0, 10), endpoint(2, 0, 30), endpoint(3, 0, 60)]);
    expect(shares[1]).toBeCloseTo(0.1, 1);
    expect(shares[2]).toBeCloseTo(0.3, 1);
    expect(shares[3]).toBeCloseTo(0.6, 1);
  });

  test("weight 0 among others is rarely first, yet not never", () => {
    const shares = firstPlaces([endpoint(1, 0, 0), endpoint(2, 0, 20)]);
    expect(shares[1]).toBeGreaterThan(0);
    expect(shares[1]).toBeLessThan(0.1);
  });

  test("endpoints that all have weight 0 share the load evenly", () => {
    const shares = firstPlaces([endpoint(1, 0, 0), endpoint(2, 0, 0)]);
    expect(shares[1]).toBeCloseTo(0.5, 1);
  });

  test("none gives none", () => {
    expect(orderEndpoints([], Math.random)).toEqual([]);
  });
});

function endpoint(port: number, priority: number, weight: number): Endpoint {
  return { address: addressOf("10.0.0.5"), port, priority, weight };
}

function portsOf(endpoints: Endpoint[]): number[] {
  return endpoints.map(({ port }) => port);
}

/** How often each port came first. */
function firstPlaces(endpoints: Endpoint[]): Record<number, number> {
  const random = seededRandom(2782);
  const shares: Record<number, number> = {};
  for (let round = 0; round < rounds; round++) {
    const [first = -1] = portsOf(orderEndpoints(endpoints, random));
    shares[first] = (shares[first] ?? 0) + 1 / rounds;
  }
  return shares;
}
