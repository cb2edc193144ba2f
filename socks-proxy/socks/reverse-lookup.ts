import { lookupService } from "node:dns/promises";

import { type Address, parseAddress } from "../../shared/address.ts";

/** The system's name of an address (getnameinfo(3)); undefined when it has none. */
export async function systemReverse(address: Address): Promise<string | undefined> {
  const { hostname } = await lookupService(address, 0);
  // Without a name it gives the address back, with a zone id perhaps.
  return parseAddress(hostname.replace(/%.*$/, "")) === undefined ? hostname : undefined;
}
