import type { Lease } from "../../leases.ts";
import type { Leases } from "../../tables.ts";
import type { TurnTaken } from "../../turns.ts";
import { createVolatileLeases } from "../volatile-leases.ts";
import type { HostTurn } from "./layout.ts";

/** What etcd says of a host that its lease follows from. */
export interface Standing extends HostTurn {
  /** Its lease's length in seconds. */
  lease: number;
}

export interface CarriedLeases extends Leases {
  /** Hosts this resolver renews the leases of, whose time is up by `now`. */
  dueBy(now: number): string[];
  /** Another resolver renews the host's lease by now: what is known here of its end is worth nothing; its turn still is. */
  handOver(hostId: string): void;
  /** Nobody could renew for a while: every lease carried here begins anew. */
  grantFresh(): void;
  /** Turns that were taken before may be forgotten in etcd: no request signed for this generation counts any more. */
  renewGeneration(): void;
}

export interface CarriedLeasesParts {
  /** This resolver, as it calls itself in turns. */
  carrier: string;
  makeGeneration: () => string;
  /** Undefined for a host that etcd does not hold. */
  standingOf: (hostId: string) => Standing | undefined;
  /** While etcd does not answer no lease runs out. */
  isAway: () => boolean;
  now: () => number;
}

/**
 * Leases where etcd is the judge: the resolver that carries a host's renewals knows to the second when its lease ends, every other one
 * only that it is not over, and says the longest it could be. Nothing lapses here by itself: `soonest` is never.
 */
export function createCarriedLeases(parts: CarriedLeasesParts): CarriedLeases {
  const { carrier, makeGeneration, standingOf, isAway, now } = parts;
  let own = createVolatileLeases(makeGeneration);

  function* carried(): Generator<[string, Lease, Standing]> {
    for (const [hostId, lease] of own.running()) {
      const standing = standingOf(hostId);
      if (standing?.carrier === carrier && lease.expiresAt > 0) yield [hostId, lease, standing];
    }
  }

  return {
    generation: () => own.generation(),
    get(hostId): Lease | undefined {
      const known = own.get(hostId);
      const standing = standingOf(hostId);
      if (standing === undefined) return known === undefined ? undefined : { ...known, expiresAt: 0 };
      const isKnown = standing.carrier === carrier && known !== undefined && known.expiresAt > 0 && !isAway();
      const expiresAt = isKnown ? known.expiresAt : now() + standing.lease * 1000;
      return { ...laterTurn(known, standing), expiresAt };
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
      for (const [hostId, lease, standing] of [...carried()])
        own.set(hostId, { ...lease, expiresAt: now() + standing.lease * 1000 });
    },
    renewGeneration() {
      const running = [...own.running()];
      own = createVolatileLeases(makeGeneration);
      for (const [hostId, lease] of running) own.set(hostId, lease);
    },
  };
}

/** Of one process' requests some may have gone to another resolver: etcd tells the last that wrote anything. */
function laterTurn(known: Lease | undefined, { epoch, sequence }: HostTurn): TurnTaken {
  if (known === undefined || known.epoch < epoch) return { epoch, sequence };
  if (known.epoch > epoch) return known;
  return { epoch, sequence: Math.max(known.sequence, sequence) };
}
