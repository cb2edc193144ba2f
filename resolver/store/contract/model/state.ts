import type { Address } from "../../../../shared/address.ts";
import type { Binding, Declared } from "../../../../shared/binding.ts";
import type { Access } from "../../../access.ts";

/** What the model remembers. Names are relative to the zone, times are milliseconds since the history began. */
export interface ModelState {
  now: number;
  /** How often anything changed: what claims are ordered by. */
  changes: number;
  hosts: Map<string, ModelHost>;
  holds: Map<string, ModelHold>;
}

export interface ModelHost {
  hostId: string;
  epoch: number;
  digest: string;
  lease: number;
  expiresAt: number;
  declared: Declared;
  label: string;
  addresses: Address[];
  token: Access;
  claims: Map<string, ModelClaim>;
  /** Whether the next reply's grantsRevision has to be a higher one, may be, or must not. */
  grants: "same" | "may grow" | "grown";
}

export interface ModelClaim {
  bindings: Binding[];
  /** The change at which the host first declared it. */
  since: number;
  hasRoom: boolean;
  refusal?: ModelRefusal;
}

export interface ModelRefusal {
  code: "held" | "reserved" | "not-allowed" | "over-limit";
  holder?: { owner: string; hostLabel: string };
  /** What else its message tells of the holder. */
  standing?: string;
}

export interface ModelHold {
  owner: string;
  /** The host that is named as the holder: for an exclusive hold the only one that may answer. */
  hostId: string;
  isExclusive: boolean;
  hostLabel: string;
  tokenId: string;
  since: number;
  until?: number;
}

/** A claim with the host that makes it. */
export interface ModelWish {
  host: ModelHost;
  claim: ModelClaim;
}

export function wishesFor(state: ModelState, name: string): ModelWish[] {
  return [...state.hosts.values()].flatMap((host) => {
    const claim = host.claims.get(name);
    return claim === undefined ? [] : [{ host, claim }];
  });
}

/** How long it has been declared, then the lowest host id: everything that has an order has this one. */
export function byTurn(a: ModelWish, b: ModelWish): number {
  return a.claim.since - b.claim.since || compareText(a.host.hostId, b.host.hostId);
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
