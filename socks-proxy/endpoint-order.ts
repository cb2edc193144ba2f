import type { Endpoint } from "../shared/dns/endpoints.ts";

/**
 * The order in which to try endpoints: lowest priority first, weighted random within one priority (RFC 2782). `random` gives numbers
 * from 0 up to, not including, 1.
 */
export function orderEndpoints(endpoints: readonly Endpoint[], random: () => number): Endpoint[] {
  const groups = [...Map.groupBy(endpoints, ({ priority }) => priority)];
  return groups.toSorted(([a], [b]) => a - b).flatMap(([, group]) => weightedOrder(group, random));
}

/** RFC 2782 "Weight": weight 0 stands first, then each pick falls where the running sum reaches a random number up to the sum. */
function weightedOrder(group: readonly Endpoint[], random: () => number): Endpoint[] {
  // The RFC leaves the order they are summed up in open; shuffling spreads the load when every weight is 0.
  const left = shuffle(group, random).toSorted((a, b) => Math.sign(a.weight) - Math.sign(b.weight));
  const ordered: Endpoint[] = [];
  while (left.length > 0) {
    const sum = left.reduce((total, { weight }) => total + weight, 0);
    let remaining = Math.floor(random() * (sum + 1));
    const picked = left.findIndex(({ weight }) => {
      remaining -= weight;
      return remaining <= 0;
    });
    ordered.push(...left.splice(picked, 1));
  }
  return ordered;
}

/** Fisher and Yates. */
function shuffle(group: readonly Endpoint[], random: () => number): Endpoint[] {
  const left = [...group];
  return group.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
