import type { Lease } from "../leases.ts";
import type { Leases } from "../tables.ts";

/** What one link does for its host's lease: it runs until then, if the host still is what the link was opened for. */
export interface LinkSign {
  hostId: string;
  epoch: number;
  generation: string;
  /** Milliseconds of the registry's clock. */
  until: number;
}

export interface LinkedLeases extends Leases {
  /** Writes down what a link did that is about to be gone: its close is no reason for a lease to end earlier. */
  settle(sign: LinkSign): void;
}

/**
 * Leases that links prolong without a write: a lease runs until the end that is stored, or until the one its links' last signs of life
 * stand for, whichever is later. `signs` are those of one host's links, or of all links.
 */
export function createLinkedLeases(
  stored: Leases,
  signs: (hostId?: string) => Iterable<LinkSign>,
): LinkedLeases {
  const isCurrent = ({ epoch, generation }: LinkSign, lease: Lease): boolean =>
    lease.expiresAt > 0 && epoch === lease.epoch && generation === stored.generation();

  function prolonged(lease: Lease, ofHost: Iterable<LinkSign>): Lease {
    let { expiresAt } = lease;
    for (const sign of ofHost) if (isCurrent(sign, lease)) expiresAt = Math.max(expiresAt, sign.until);
    return expiresAt === lease.expiresAt ? lease : { ...lease, expiresAt };
  }

  return {
    ...stored,
    get(hostId) {
      const lease = stored.get(hostId);
      return lease === undefined ? undefined : prolonged(lease, signs(hostId));
    },
    *running() {
      const all = Map.groupBy(signs(), ({ hostId }) => hostId);
      for (const [hostId, lease] of stored.running()) yield [hostId, prolonged(lease, all.get(hostId) ?? [])];
    },
    settle(sign) {
      const lease = stored.get(sign.hostId);
      if (lease === undefined || !isCurrent(sign, lease) || sign.until <= lease.expiresAt) return;
      stored.set(sign.hostId, { ...lease, expiresAt: sign.until });
    },
  };
}
