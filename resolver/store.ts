import type { Delta, Push, PushReply, Renewal, Turn } from "../shared/binding.ts";
import type { Name } from "../shared/name.ts";
import type { HostList, NameList, ServiceList } from "../shared/registry-views.ts";
import type { Access } from "./access.ts";
import type { ZoneView } from "./zone/zone.ts";

/** What became of a push or a renewal. Only `accepted` prolonged a lease. */
export type TurnOutcome =
  | { kind: "accepted"; reply: PushReply }
  /** A renewal, or a delta, on a set the registry does not hold: push the whole set. */
  | { kind: "unknown-digest" }
  /** Another process speaks for this host; `leaseRemaining` in seconds until that could change by itself. */
  | { kind: "superseded"; heldEpoch: number; leaseRemaining: number }
  /** Signed for another life of the registry: sign anew, for `generation`. */
  | { kind: "unknown-generation"; generation: string }
  /** The token may not speak for this host; `maxHosts` when that is because it has so many hosts already, and no room for another. */
  | { kind: "host-not-allowed"; maxHosts?: number }
  /** A delta that does not lead to the digest it names. */
  | { kind: "wrong-digest" };

/** `not-held`: there was nothing to remove. */
export type WithdrawOutcome =
  | { kind: "withdrawn" }
  | { kind: "not-held" }
  | Extract<TurnOutcome, { kind: "superseded" | "unknown-generation" }>;

/** What became of an operator's wish to free a name. */
export type ReleaseOutcome =
  | { kind: "released" }
  | { kind: "not-held" }
  /** The holder's hosts serve it now. */
  | { kind: "live"; hostLabels: string[] };

/** The truth about who declared what. Every implementation passes describeStore in store/contract.ts, in its real runtime. */
export interface BindingStore {
  /**
   * Puts the host's whole declared set in the place of the one held, and grants a lease. The same digest again changes nothing but the
   * lease: no revision, no serial (unless another lease length is granted, which TTLs follow from). Acknowledged means durable, as far as the store is.
   */
  push(hostId: string, push: Push, access: Access): Promise<TurnOutcome>;
  /** As `push`, of what changed since the set with the digest `base`. */
  pushDelta(hostId: string, delta: Delta, access: Access): Promise<TurnOutcome>;
  /** Prolongs the lease of the set that was pushed. */
  renew(hostId: string, renewal: Renewal, access: Access): Promise<TurnOutcome>;
  /** Removes the host and all its bindings at once. The host's own wish carries its turn; an operator's has none. `access` is whose it is, for the audit record. */
  withdraw(hostId: string, turn?: Turn, access?: Access): Promise<WithdrawOutcome>;
  /** Hosts whose lease runs, sorted by label. */
  hosts(): Promise<HostList>;
  /** Granted names with their endpoints, sorted; those of `names` alone when it is given. */
  services(names?: Name[]): Promise<ServiceList>;
  /** Who holds which name, and who waits for it, sorted by name. */
  names(): Promise<NameList>;
  /** Ends the hold on a name nobody serves; whoever waits for it has it at once. */
  releaseName(name: Name, access?: Access): Promise<ReleaseOutcome>;
  /**
   * What answers for `owner` now: nothing of a lapsed host, TTLs no longer than the shortest lease left, and one TTL for an RRset.
   * `owner` is lower case with a trailing dot and lies in the zone; names no host could have are simply absent.
   */
  read(owner: string): ZoneView | Promise<ZoneView>;
}
