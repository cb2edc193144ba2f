import { hostname, networkInterfaces } from "node:os";

import { isUnspecified, parseAddress } from "../../shared/address.ts";
import type { Apex } from "../answer.ts";
import type { ResolverConfig } from "../config.ts";
import type { RegistrySettings } from "../settings.ts";

/** What the certificate has to be valid for. */
export function certificateNames(config: ResolverConfig): string[] {
  const listen = parseAddress(config.listen.host);
  const isEverywhere = listen !== undefined && isUnspecified(listen);
  const reached = isEverywhere ? [hostname(), ...machineAddresses()] : [config.listen.host];
  return [...new Set(["localhost", "127.0.0.1", "::1", ...reached, ...config.publicNames])];
}

/** What answers at the zone's own name. */
export function apexOf(config: ResolverConfig, settings: RegistrySettings): Apex {
  const listen = parseAddress(config.listen.host);
  const own = listen === undefined || isUnspecified(listen) ? [] : [listen];
  const nameServerAddresses = config.nsAddress.length > 0 ? config.nsAddress : own;
  const { zone, nameServers, ttl } = settings;
  return { zone, nameServers, nameServerAddresses, ttl, negativeTtl: 1 };
}

/** Bound to every address, the resolver is reached at any of the machine's own; a link-local one means nothing without its link. */
function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);
}
