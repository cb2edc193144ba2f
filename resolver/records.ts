import type { Address } from "../shared/address.ts";
import type { Binding, Problem, Refusal } from "../shared/binding.ts";
import type { Rdata } from "../shared/dns/message.ts";
import type { Name } from "../shared/name.ts";
import type { TokenScope } from "../shared/tokens.ts";

/** What the registry keeps of one container host while its lease runs. */
export interface HostRecord {
  hostId: string;
  epoch: number;
  digest: string;
  /** Seconds granted. */
  lease: number;
  declaredLabel: string;
  /** The label granted: the declared one, or that with a suffix of the host id when another host holds it. */
  hostLabel: string;
  addresses: Address[];
  /** The distinct address sets of its bindings that are not all of `addresses`: each has a target of its own. */
  parts: Address[][];
  local: boolean;
  problems: Problem[];
  /** How many it declares. */
  bindings: number;
  grantsRevision: number;
  /** By the token of the last push. */
  tokenId: string;
  owner: string;
  scope: TokenScope;
}

/** All bindings one host declares for one name. `since` is the revision at which it first did, without a gap. */
export interface Claim {
  hostId: string;
  name: Name;
  since: number;
  bindings: Binding[];
  refusal?: Refusal;
}

/** Whom a name belongs to. A host's own names have none: nobody else can declare them. */
export interface Hold {
  name: Name;
  owner: string;
  /** The one host it belongs to, for a name that does not merge; absent when every host of the owner may answer for it. */
  hostId?: string;
  /** The label of the host that brought it, and the token it counts against. */
  hostLabel: string;
  tokenId: string;
  /** Milliseconds of the registry's clock: when this holder got it. */
  since: number;
  /** Nobody of the holder's declares it any more; it is kept until then (ms). */
  until?: number;
}

/** Counters of the whole registry. `serial` is the SOA's (RFC 1035 §3.3.13). */
export interface Counters {
  revision: number;
  serial: number;
}

/** RRs of one owner, class and type. `ttl` in seconds; `hosts` are the hosts whose leases it lives on. */
export interface RRset {
  ttl: number;
  rdata: Rdata[];
  hosts: string[];
}

/** Everything compiled at one owner name, self-contained: one read answers a query. */
export interface ZoneEntry {
  owner: Name;
  rrsets: RRset[];
  /** Addresses of the SRV targets. */
  additional: { owner: Name; rrset: RRset }[];
  /** It has RRs, and none of them carries an ephemeral port: a copy a minute old harms nobody. */
  fixed: boolean;
}
