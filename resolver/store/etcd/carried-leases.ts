import type { Lease } from "../../leases.ts";
import type { Leases } from "../../tables.ts";
import { createVolatileLeases } from "../volatile-leases.ts";
import type { Head } from "./layout.ts";

export interface CarriedLeases extends Leases {
  /** Hosts this resolver renews the leases of, whose time is up by `now`. */
  dueBy(now: number): string[];
  /** Hosts this resolver renews the leases of. */
  carried(): string[];
}

/**
 * Leases where etcd is the judge: the resolver that carries a host's renewals knows to the second when its lease ends, every other one
 * only that it is not over, and says the longest it could be. Nothing lapses here by itself: `running` is empty.
 */
export function createCarriedLeases(
  carrier: string,
  makeGeneration: () => string,
  headOf: (hostId: string) => Head | undefined,
  now: () => number,
): CarriedLeases {
  const own = createVolatileLeases(makeGeneration);
  const carriedHead = (hostId: string) => {
    const head = headOf(hostId);
    return head?.carrier === carrier ? head : undefined;
  };
  return {
    generation: () => own.generation(),
    get(hostId): Lease | undefined {
      const known = own.get(hostId);
      const head = headOf(hostId);
      if (head === undefined) return known === undefined ? undefined : { ...known, expiresAt: 0 };
      const last =
        known === undefined || known.epoch < head.host.epoch
          ? { epoch: head.host.epoch, sequence: 0 }
          : known;
      const isOurs = head.carrier === carrier && known !== undefined && known.expiresAt > 0;
      return { ...last, expiresAt: isOurs ? known.expiresAt : now() + head.host.lease * 1000 };
    },
    set: (hostId, lease) => own.set(hostId, lease),
    end: (hostId) => own.end(hostId),
    running: () => [],
    soonest: () => Number.POSITIVE_INFINITY,
    raiseSoonest: () => undefined,
    dueBy: (at) => carried().filter((hostId) => (own.get(hostId)?.expiresAt ?? at + 1) <= at),
    carried,
  };

  function carried(): string[] {
    return [...own.running()].map(([hostId]) => hostId).filter((hostId) => carriedHead(hostId) !== undefined);
  }
}
