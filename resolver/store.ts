import type { Push, PushReply, Renewal } from "../shared/binding.ts";
import type { HostList, ServiceList } from "../shared/registry-views.ts";
import type { ZoneView } from "./zone/zone.ts";

/** What became of a push or a renewal. Only `accepted` prolonged a lease. */
export type TurnOutcome =
  | { kind: "accepted"; reply: PushReply }
  /** A renewal of a set the registry does not hold: push the whole set. */
  | { kind: "unknown-digest" }
  /** Another process speaks for this host; `leaseRemaining` in seconds until that could change by itself. */
  | { kind: "superseded"; heldEpoch: number; leaseRemaining: number };

/** The truth about who declared what. Every implementation passes describeStore in store/contract.ts, in its real runtime. */
export interface BindingStore {
  /**
   * Puts the host's whole declared set in the place of the one held, and grants a lease. The same digest again changes nothing but the
   * lease: no revision, no serial (unless another lease length is granted, which TTLs follow from). Acknowledged means durable, as far as the store is.
   */
  push(hostId: string, push: Push): Promise<TurnOutcome>;
  /** Prolongs the lease of the set that was pushed. */
  renew(hostId: string, renewal: Renewal): Promise<TurnOutcome>;
  /** Removes the host and all its bindings at once. Resolves to false when there was nothing to remove. */
  withdraw(hostId: string): Promise<boolean>;
  /** Hosts whose lease runs, sorted by label. */
  hosts(): Promise<HostList>;
  /** Granted names with their endpoints, sorted. */
  services(): Promise<ServiceList>;
  /**
   * What answers for `owner` now: nothing of a lapsed host, TTLs no longer than the shortest lease left, and one TTL for an RRset.
   * `owner` is lower case with a trailing dot and lies in the zone; names no host could have are simply absent.
   */
  read(owner: string): ZoneView | Promise<ZoneView>;
}
