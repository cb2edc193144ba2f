import type { Binding } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";
import type { Name } from "../shared/name.ts";
import type { HostList, ServiceList } from "../shared/registry-views.ts";
import type { Claim } from "./records.ts";
import type { Registry } from "./registry.ts";
import type { Tables } from "./tables.ts";

/** `GET /v1/hosts`: what the registry holds, host by host. */
export function listHosts(registry: Registry, tables: Tables): HostList {
  registry.lapse();
  const hosts = tables.hosts().map(({ grantsRevision: _, ...host }) => ({
    ...host,
    leaseRemaining: registry.leaseRemaining(host.hostId),
    refused: tables.refusalsOf(host.hostId),
  }));
  const byLabel = hosts.toSorted((a, b) => (a.hostLabel < b.hostLabel ? -1 : 1));
  return { revision: tables.counters().revision, hosts: byLabel };
}

/** `GET /v1/services`: what was granted, name by name. */
export function listServices(registry: Registry, tables: Tables, zone: Name): ServiceList {
  registry.lapse();
  const granted = [...tables.claims()].filter((claim) => claim.refusal === undefined);
  const names = Map.groupBy(granted, (claim) => claim.name);
  const sorted = [...names].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const services = sorted.map(([name, claims]) => ({ name, ports: portsOf(claims, tables) }));
  return { revision: tables.counters().revision, zone, services };
}

function portsOf(claims: Claim[], tables: Tables): ServiceList["services"][number]["ports"] {
  const placed = claims.flatMap(({ hostId, bindings }) => {
    const hostLabel = tables.host(hostId)?.hostLabel ?? hostId;
    return bindings.map((binding) => ({ ...binding, hostLabel }));
  });
  // Sorted, because tables hand claims out in whatever order they keep them.
  placed.sort((a, b) => a.servicePort - b.servicePort || (sortKey(a) < sortKey(b) ? -1 : 1));
  const ports = Map.groupBy(placed, ({ protocol, servicePort }) => `${protocol} ${servicePort}`);
  return [...ports.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const endpoints = group.map(({ hostLabel, container, addresses, port, fixed, health }) => {
      return { hostLabel, container, addresses, port, fixed, health };
    });
    return [{ protocol: first.protocol, servicePort: first.servicePort, endpoints }];
  });
}

function sortKey(placed: Binding & { hostLabel: string }): string {
  return `${placed.protocol} ${placed.hostLabel} ${canonicalBinding(placed)}`;
}
