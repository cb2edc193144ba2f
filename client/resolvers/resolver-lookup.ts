import { Resolver } from "node:dns/promises";

import { type Address, parseAddress } from "../../shared/address.ts";

/**
 * The addresses of a resolver's hostname from these DNS servers (IP, or IP:port), and from nobody else: where this machine's own
 * resolution leads to berth, it would wait for itself. Rejects when there is none.
 */
export async function lookupAt(servers: readonly string[], hostname: string): Promise<Address[]> {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  resolver.setServers(servers);
  const [ipv6, ipv4] = await Promise.allSettled([resolver.resolve6(hostname), resolver.resolve4(hostname)]);
  if (ipv6.status === "rejected" && ipv4.status === "rejected") throw ipv4.reason;
  const found = [ipv4, ipv6].flatMap((family) => (family.status === "fulfilled" ? family.value : []));
  return found.flatMap((address) => parseAddress(address) ?? []);
}
