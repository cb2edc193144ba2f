import { lookup } from "node:dns/promises";

import { type Address, parseAddress } from "../../shared/address.ts";

/** What getaddrinfo(3) finds, in its order (RFC 6724). Rejects with code ENOTFOUND when it finds nothing. */
export async function systemLookup(name: string): Promise<Address[]> {
  const found = await lookup(name, { all: true, order: "verbatim" });
  return found.flatMap(({ address }) => parseAddress(address) ?? []);
}
