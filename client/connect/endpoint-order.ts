import { type Address, familyOf } from "../../shared/address.ts";
import type { Endpoint } from "../../shared/dns/endpoints.ts";

/** One address of an endpoint with its port: what one attempt connects to. */
export interface Candidate {
  address: Address;
  port: number;
}

/** More than any client would wait for, and few enough for an answer made to be long to cost no more than an honest one. */
const maxCandidates = 64;

/**
 * What to try for one connection, in this order: the endpoints as `orderEndpoints` has them, each with its addresses of both families
 * in turn. No more than the first 64 are tried; at the pace of RFC 8305 these take 16 s when all are silent.
 */
export function candidatesOf(endpoints: readonly Endpoint[], random: () => number): Candidate[] {
  const candidates: Candidate[] = [];
  for (const { addresses, port } of orderEndpoints(endpoints, random)) {
    const room = maxCandidates - candidates.length;
    if (room === 0) break;
    for (const address of alternatingFamilies(addresses.slice(0, room))) candidates.push({ address, port });
  }
  return candidates;
}

/**
 * The order in which to try endpoints: lowest priority first, weighted random within one priority (RFC 2782). `random` gives numbers
 * from 0 up to, not including, 1; it is asked once an endpoint, and not at all where there is no choice.
 */
export function orderEndpoints(endpoints: readonly Endpoint[], random: () => number): readonly Endpoint[] {
  if (endpoints.length < 2) return endpoints;
  const groups = [...Map.groupBy(endpoints, ({ priority }) => priority)];
  return groups.toSorted(([a], [b]) => a - b).flatMap(([, group]) => weightedOrder(group, random));
}

/**
 * RFC 8305 §4: one of the first one's family, one of the other, and so on, so that a family that leads nowhere costs one attempt and not
 * all of its addresses. Each family keeps its own order.
 */
function alternatingFamilies(addresses: readonly Address[]): readonly Address[] {
  const [first] = addresses;
  if (first === undefined || addresses.length < 3) return addresses;
  const family = familyOf(first);
  const same = addresses.filter((address) => familyOf(address) === family);
  const other = addresses.filter((address) => familyOf(address) !== family);
  const turns = Math.max(same.length, other.length);
  return Array.from({ length: turns }, (_, turn) => [same[turn], other[turn]])
    .flat()
    .filter((address) => address !== undefined);
}

/**
 * RFC 2782 "Weight", by one sort instead of a running sum for every pick, which would be quadratic: each endpoint waits for a random,
 * exponentially distributed time, the shorter the higher its weight. The first then falls as the RFC's draw does: of a sum S, weight w
 * comes first w times in S + 1, and all those of weight 0 together once.
 */
function weightedOrder(group: readonly Endpoint[], random: () => number): Endpoint[] {
  const unweighted = group.filter(({ weight }) => weight === 0).length;
  const waiting = group.map((endpoint) => {
    const rate = endpoint.weight === 0 ? 1 / unweighted : endpoint.weight;
    return { endpoint, wait: -Math.log(1 - random()) / rate };
  });
  return waiting.toSorted((a, b) => a.wait - b.wait).map(({ endpoint }) => endpoint);
}
