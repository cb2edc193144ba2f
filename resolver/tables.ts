import type { Refusal } from "../shared/binding.ts";
import type { Name } from "../shared/name.ts";
import type { Lease } from "./leases.ts";
import type { Claim, Counters, Hold, HostRecord } from "./records.ts";

/** The registry's memory of what hosts declared. Synchronous: every runtime's local storage is. */
export interface Tables {
  /** All changes of `change` or none of them; rolls back and rethrows when it throws. */
  transaction<T>(change: () => T): T;
  counters(): Counters;
  setCounters(counters: Counters): void;

  host(hostId: string): HostRecord | undefined;
  hosts(): HostRecord[];
  hostOfLabel(label: string): HostRecord | undefined;
  putHost(host: HostRecord): void;
  /** Removes the record only; its claims are removed one by one, because other hosts' grants follow from them. */
  deleteHost(hostId: string): void;

  claimsOfHost(hostId: string): Claim[];
  claimsOfName(name: Name): Claim[];
  /** Of the host's claims that were not granted, sorted by name. */
  refusalsOf(hostId: string): Refusal[];
  claims(): Iterable<Claim>;
  /** Whether a granted claim's name lies below `owner`, a name in text form with a trailing dot. */
  hasNameBelow(owner: string): boolean;
  putClaim(claim: Claim): void;
  deleteClaim(hostId: string, name: Name): void;

  hold(name: Name): Hold | undefined;
  holds(): Iterable<Hold>;
  /** Those kept until `now` or earlier. */
  holdsEndingBy(now: number): Hold[];
  /** The earliest end of a kept hold; undefined when none is kept. */
  nextHoldEnd(): number | undefined;
  /** How many kept names count against a token. */
  keptByToken(tokenId: string): number;
  putHold(hold: Hold): void;
  deleteHold(name: Name): void;
}

/** The lease of each host in the tables, and the last turn of every host ever heard in this generation. */
export interface Leases {
  /** What requests have to be signed for. Another one when turns were forgotten, lest a forgotten one be played back. */
  generation(): string;
  /** Of a host that is gone too: then its `expiresAt` is 0. */
  get(hostId: string): Lease | undefined;
  set(hostId: string, lease: Lease): void;
  /** The host is gone from the tables. */
  end(hostId: string): void;
  running(): Iterable<[hostId: string, lease: Lease]>;
  /** No lease runs out before this moment (Infinity: none runs): spares looking at them all. `set` lowers it where it has to. */
  soonest(): number;
  /** After a look at them all. */
  raiseSoonest(at: number): void;
}
