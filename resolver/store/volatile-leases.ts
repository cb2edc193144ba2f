import type { Lease } from "../leases.ts";
import type { Leases } from "../tables.ts";

/** Turns of hosts that are gone are kept against replays, up to this many. */
export const maxKeptTurns = 100_000;

/** Leases that last as long as the process: on Node a start grants fresh ones anyway. `makeGeneration` never gives the same twice. */
export function createVolatileLeases(makeGeneration: () => string, maxKept = maxKeptTurns): Leases {
  const running = new Map<string, Lease>();
  const gone = new Map<string, Lease>();
  let generation = makeGeneration();
  let soonest = Number.POSITIVE_INFINITY;
  return {
    generation: () => generation,
    soonest: () => soonest,
    raiseSoonest: (at) => {
      soonest = at;
    },
    get: (hostId) => running.get(hostId) ?? gone.get(hostId),
    set(hostId, lease) {
      gone.delete(hostId);
      running.set(hostId, lease);
      if (lease.expiresAt > 0) soonest = Math.min(soonest, lease.expiresAt);
    },
    end(hostId) {
      const lease = running.get(hostId);
      if (lease === undefined) return;
      running.delete(hostId);
      gone.set(hostId, { ...lease, expiresAt: 0 });
      if (gone.size <= maxKept) return;
      // Not the oldest alone: a forgotten turn could be played back, and only a new generation refuses all of them.
      gone.clear();
      generation = makeGeneration();
    },
    running: () => running.entries(),
  };
}
