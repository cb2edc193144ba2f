import type { Address } from "../shared/address.ts";
import type { Name } from "../shared/name.ts";

/** The addresses other machines reach this host at. */
export interface SiteAddresses {
  addresses: readonly Address[];
  /** True exactly when all addresses are loopback ones, because the resolver is on this machine. */
  local: boolean;
}

/** The machine's own facts, which no engine knows. */
export interface Site extends SiteAddresses {
  zone: Name;
  hostLabel: string;
}
