import type { Address } from "../shared/address.ts";
import type { Name } from "../shared/name.ts";

/** The addresses other machines reach this host at. */
export interface SiteAddresses {
  addresses: readonly Address[];
  /** True exactly when all addresses are loopback ones, because the resolver is on this machine. */
  local: boolean;
  /** Where on this machine connections to those of the addresses arrive that are not its own, because NAT stands before it. */
  arrivals?: ReadonlyMap<Address, Address>;
}

/** Where on this machine connections to one of the site's addresses arrive, and a listener or a check of it belongs. */
export function arrivalOf({ arrivals }: SiteAddresses, address: Address): Address {
  return arrivals?.get(address) ?? address;
}

/** At which of the site's addresses others reach what is open at this machine's `address`. */
export function advertisedFor(site: SiteAddresses, address: Address): Address[] {
  return site.addresses.filter((own) => own === address || arrivalOf(site, own) === address);
}

export function isSameSite(left: SiteAddresses, right: SiteAddresses): boolean {
  if (left === right) return true;
  const { addresses } = right;
  if (left.local !== right.local || left.addresses.length !== addresses.length) return false;
  return left.addresses.every(
    (address, at) => address === addresses[at] && arrivalOf(left, address) === arrivalOf(right, address),
  );
}

/** The machine's own facts, which no engine knows. */
export interface Site extends SiteAddresses {
  zone: Name;
  hostLabel: string;
}
