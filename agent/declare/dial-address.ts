import { type Address, familyOf } from "../../shared/address.ts";
import type { ContainerFacts } from "../engine/facts.ts";

/**
 * Where the agent itself connects to a container: its address in the network called `wanted`, else in the first, by name, in which it has
 * one. Networks come sorted, so that it is the same one from pass to pass. `fault` says what is missing.
 */
export function dialAddressOf(
  { networks }: Pick<ContainerFacts, "networks">,
  wanted: string | undefined,
): { address: Address; fault?: undefined } | { address?: undefined; fault: string } {
  const usable = wanted === undefined ? networks : networks.filter(({ name }) => name === wanted);
  const address = usable.map(({ addresses }) => firstOf(addresses)).find((first) => first !== undefined);
  if (address !== undefined) return { address };
  if (wanted === undefined)
    return { fault: "the container has no address of its own; connect it to a network" };
  const there = networks.map(({ name }) => name).join(", ") || "none";
  return { fault: `berth.network=${wanted}: the container has no address there; its networks: ${there}` };
}

/** IPv4 first: not every network that hands out IPv6 addresses also routes them. */
export function firstOf(addresses: readonly Address[]): Address | undefined {
  return addresses.find((address) => familyOf(address) === 4) ?? addresses[0];
}
