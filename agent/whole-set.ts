import type { Address } from "../shared/address.ts";
import type { Binding, Declared, Problem } from "../shared/binding.ts";
import type { SiteAddresses } from "./site.ts";

/** The host's addresses are its own and, after them, those of its engines on other machines, where bindings are open. */
export function wholeSet(
  site: SiteAddresses,
  { hostLabel }: { hostLabel: string },
  bindings: Binding[],
  problems: Problem[],
): Declared {
  const addresses = new Set<Address>(site.addresses);
  for (const binding of bindings) for (const address of binding.addresses) addresses.add(address);
  return { hostLabel, addresses: [...addresses], local: site.local, bindings, problems };
}
