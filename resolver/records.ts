import type { Address } from "../shared/address.ts";
import type { Binding, Problem, Refusal } from "../shared/binding.ts";
import type { Rdata } from "../shared/dns/message.ts";
import type { Name } from "../shared/name.ts";

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
  local: boolean;
  problems: Problem[];
  bindings: number;
  grantsRevision: number;
}

/** All bindings one host declares for one name. `since` is the revision at which it first did, without a gap. */
export interface Claim {
  hostId: string;
  name: Name;
  since: number;
  bindings: Binding[];
  refusal?: Refusal;
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
  /** No RR of it carries an ephemeral port, so a copy a minute old harms nobody. */
  fixed: boolean;
}
