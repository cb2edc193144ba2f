import type { Refusal } from "../shared/binding.ts";
import type { Name } from "../shared/name.ts";
import type { Lease } from "./leases.ts";
import type { Claim, Counters, HostRecord } from "./records.ts";

/** The registry's memory of what hosts declared. Synchronous: every runtime's local storage is. */
export interface Tables {
  /** All changes of `change` or none of them; rolls back and rethrows when it throws. */
  transaction<T>(change: () => T): T;
  counters(): Counters;
  setCounters(counters: Counters): void;
  host(hostId: string): HostRecord | undefined;
  hosts(): HostRecord[];
  putHost(host: HostRecord): void;
  /** Removes the record only; its claims are removed one by one, because other hosts' grants follow from them. */
  deleteHost(hostId: string): void;
  /** By a host other than `hostId`. */
  isLabelTaken(label: string, hostId: string): boolean;
  claimsOfHost(hostId: string): Claim[];
  claimsOfName(name: Name): Claim[];
  /** Of the host's claims that were not granted, sorted by name. */
  refusalsOf(hostId: string): Refusal[];
  claims(): Iterable<Claim>;
  putClaim(claim: Claim): void;
  deleteClaim(hostId: string, name: Name): void;
}

/** The lease of each host in the tables. */
export interface Leases {
  get(hostId: string): Lease | undefined;
  set(hostId: string, lease: Lease): void;
  delete(hostId: string): void;
  entries(): Iterable<[hostId: string, lease: Lease]>;
}

/** Leases that last as long as the process: on Node a start grants fresh ones anyway. */
export function createVolatileLeases(): Leases {
  return new Map<string, Lease>();
}
