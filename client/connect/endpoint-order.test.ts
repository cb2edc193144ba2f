import { describe, expect, test } from "vitest";

import { familyOf } from "../../shared/address.ts";
import type { Endpoint } from "../../shared/dns/endpoints.ts";
import { addressOf } from "../testing/doh-server.ts";
import { seededRandom } from "../testing/random.ts";
import { candidatesOf, orderEndpoints } from "./endpoint-order.ts";

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

  test("weights share what is left in proportion too, once the first is taken", () => {
    const endpoints = [endpoint(1, 0, 50), endpoint(2, 0, 30), endpoint(3, 0, 10)];
    const random = seededRandom(305);
    const orders = Array.from({ length: rounds }, () => portsOf(orderEndpoints(endpoints, random)));
    const behindFirst = orders.filter(([first]) => first === 1);
    expect(behindFirst.filter(([, second]) => second === 2).length / behindFirst.length).toBeCloseTo(0.75, 1);
  });

  test("none gives none, and of one there is no choice to make", () => {
    const never = () => expect.unreachable();
    expect(orderEndpoints([], never)).toEqual([]);
    expect(orderEndpoints([endpoint(1, 0, 9)], never)).toEqual([endpoint(1, 0, 9)]);
  });

  test("the work grows with the number of endpoints, not with its square", () => {
    const [few, many] = [100, 1_400].map((count) => {
      let reads = 0;
      const endpoints = Array.from({ length: count }, (_, i) => ({
        ...endpoint(i + 1, 0, 1),
        get weight() {
          reads++;
          return 1;
        },
      }));
      orderEndpoints(endpoints, seededRandom(count));
      return reads / count;
    });
    expect(many).toBeLessThanOrEqual((few ?? 0) * 2);
  });
});

describe("candidates", () => {
  test("are the addresses of each endpoint in their own order, endpoint by endpoint", () => {
    const addresses = [addressOf("2001:db8::5"), addressOf("10.0.0.5")];
    const endpoints = [endpoint(2, 1, 0), { ...endpoint(1, 0, 0), addresses }];
    expect(candidatesOf(endpoints, Math.random)).toEqual([
      { address: "2001:db8::5", port: 1 },
      { address: "10.0.0.5", port: 1 },
      { address: "10.0.0.5", port: 2 },
    ]);
  });

  test.each([
    ["IPv6 first, as the answer has it", ["2001:db8::1", "2001:db8::2", "10.0.0.1", "10.0.0.2"], "6464"],
    ["IPv4 first, as the answer has it", ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"], "4646"],
    ["one family longer than the other", ["2001:db8::1", "2001:db8::2", "2001:db8::3", "10.0.0.1"], "6466"],
    ["one family alone", ["10.0.0.3", "10.0.0.1", "10.0.0.2"], "444"],
  ])("alternate between the families of one endpoint: %s", (_, texts, families) => {
    const addresses = texts.map(addressOf);
    const found = candidatesOf([{ ...endpoint(1, 0, 0), addresses }], Math.random).map(
      ({ address }) => address,
    );
    expect(found.map(familyOf).join("")).toBe(families);
    // Within a family nothing changes places.
    for (const family of [4, 6]) {
      const ofFamily = (list: typeof addresses) => list.filter((address) => familyOf(address) === family);
      expect(ofFamily(found)).toEqual(ofFamily(addresses));
    }
  });

  test("of one endpoint come before those of the next, whatever their families", () => {
    const both = [addressOf("2001:db8::5"), addressOf("10.0.0.5")];
    const endpoints = [
      { ...endpoint(1, 0, 0), addresses: both },
      { ...endpoint(2, 1, 0), addresses: both },
    ];
    expect(candidatesOf(endpoints, Math.random).map(({ port }) => port)).toEqual([1, 1, 2, 2]);
  });

  test("are 64 at most, and no address beyond them is looked at", () => {
    let reads = 0;
    const addresses = Array.from({ length: 1_400 }, () => addressOf("10.0.0.5"));
    const counted = new Proxy(addresses, {
      get(target, key, receiver) {
        if (typeof key === "string" && /^\d+$/.test(key)) reads++;
        return Reflect.get(target, key, receiver);
      },
    });
    const endpoints = Array.from({ length: 1_400 }, (_, i) => ({ ...endpoint(i, 0, 1), addresses: counted }));
    expect(candidatesOf(endpoints, seededRandom(64))).toHaveLength(64);
    expect(reads).toBeLessThanOrEqual(65);
  });
});

function endpoint(port: number, priority: number, weight: number): Endpoint {
  return { addresses: [addressOf("10.0.0.5")], port, priority, weight };
}

function portsOf(endpoints: readonly Endpoint[]): number[] {
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
