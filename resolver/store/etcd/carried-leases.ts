import type { Lease } from "../../leases.ts";
import type { Leases } from "../../tables.ts";
import { createVolatileLeases } from "../volatile-leases.ts";
import type { Head } from "./layout.ts";

export interface CarriedLeases extends Leases {
  /** Hosts this resolver renews the leases of, whose time is up by `now`. */
  dueBy(now: number): string[];
  /** Another resolver renews the host's lease by now: what is known here of its end is worth nothing; its turn still is. */
  handOver(hostId: string): void;
  /** Nobody could renew for a while: every lease carried here begins anew. */
  grantFresh(): void;
}

export interface CarriedLeasesParts {
  /** This resolver, as it calls itself in heads. */
  carrier: string;
  makeGeneration: () => string;
  headOf: (hostId: string) => Head | undefined;
  /** While etcd does not answer no lease runs out. */
  isAway: () => boolean;
  now: () => number;
}

/**
 * Leases where etcd is the judge: the resolver that carries a host's renewals knows to the second when its lease ends, every other one
 * only that it is not over, and says the longest it could be. Nothing lapses here by itself: `soonest` is never.
 */
export function createCarriedLeases(parts: CarriedLeasesParts): CarriedLeases {
  const { carrier, makeGeneration, headOf, isAway, now } = parts;
  const own = createVolatileLeases(makeGeneration);

  function* carried(): Generator<[string, Lease, Head]> {
    for (const [hostId, lease] of own.running()) {
      const head = headOf(hostId);
      if (head?.carrier === carrier && lease.expiresAt > 0) yield [hostId, lease, head];
    }
  }

  return {
    generation: () => own.generation(),
    get(hostId): Lease | undefined {
      const known = own.get(hostId);
      const head = headOf(hostId);
      if (head === undefined) return known === undefined ? undefined : { ...known, expiresAt: 0 };
      const isKnown = head.carrier === carrier && known !== undefined && known.expiresAt > 0 && !isAway();
      const expiresAt = isKnown ? known.expiresAt : now() + head.host.lease * 1000;
      return { ...laterTurn(known, head), expiresAt };
    },
    set: (hostId, lease) => own.set(hostId, lease),
    end: (hostId) => own.end(hostId),
    running: () => [],
    soonest: () => Number.POSITIVE_INFINITY,
    raiseSoonest: () => undefined,
    dueBy: (at) => [...carried()].filter(([, { expiresAt }]) => expiresAt <= at).map(([hostId]) => hostId),
    handOver(hostId) {
      const known = own.get(hostId);
      if (known !== undefined && known.expiresAt > 0) own.set(hostId, { ...known, expiresAt: 0 });
    },
    grantFresh() {
      for (const [hostId, lease, { host }] of [...carried()])
        own.set(hostId, { ...lease, expiresAt: now() + host.lease * 1000 });
    },
  };
}

/** Of one process' requests some may have gone to another resolver: its head tells the last that changed something. */
function laterTurn(known: Lease | undefined, { host, sequence }: Head): { epoch: number; sequence: number } {
  const written = { epoch: host.epoch, sequence };
  if (known === undefined || known.epoch < host.epoch) return written;
  if (known.epoch > host.epoch) return known;
  return { epoch: host.epoch, sequence: Math.max(known.sequence, sequence) };
}
