import { BerthError } from "../../shared/errors.ts";
import { type ResolverAccess, withdrawHost } from "../../shared/resolver-client.ts";
import { Turn } from "./turn.ts";

/**
 * Asks one resolver after the other, until one answers, to forget the host. False when there was nothing to forget. Throws a BerthError:
 * the answer, or, when none came, the first one's fault.
 */
export async function withdraw(
  urls: readonly string[],
  means: Omit<ResolverAccess, "url" | "generation">,
  hostId: string,
): Promise<boolean> {
  const faults: unknown[] = [];
  for (const url of urls) {
    try {
      return await withdrawFrom({ ...means, url, generation: { current: "" } }, hostId);
    } catch (fault) {
      if (!(fault instanceof BerthError) || !fault.retryable) throw fault;
      faults.push(fault);
    }
  }
  throw faults[0];
}

/** The host's last process had turns of its own, which this one takes over as a restarted agent does. */
async function withdrawFrom(access: ResolverAccess, hostId: string): Promise<boolean> {
  const turn = new Turn();
  for (;;) {
    try {
      return await withdrawHost(access, hostId, turn.next());
    } catch (fault) {
      if (!(fault instanceof BerthError) || fault.code !== "superseded") throw fault;
      if (!turn.raiseAbove(fault.facts.heldEpoch, fault.facts.leaseRemaining)) throw fault;
    }
  }
}
