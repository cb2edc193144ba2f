import type { Binding } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";
import type { Name } from "../shared/name.ts";
import type { HostList, NameList, ServiceList } from "../shared/registry-views.ts";
import type { Claim } from "./records.ts";
import type { Registry } from "./registry.ts";
import type { Tables } from "./tables.ts";
import { shownOf } from "./zone/health.ts";

type Placed = Binding & { hostLabel: string };
type Ports = ServiceList["services"][number]["ports"];
type SeenEndpoint = Ports[number]["endpoints"][number];

/** `GET /v1/hosts`: what the registry holds, host by host. */
export function listHosts(registry: Registry, tables: Tables): HostList {
  registry.lapse();
  const hosts = tables.hosts().map(({ grantsRevision: _, scope: __, parts: ___, ...host }) => ({
    ...host,
    leaseRemaining: registry.leaseRemaining(host.hostId),
    refused: tables.refusalsOf(host.hostId),
  }));
  const byLabel = hosts.toSorted((a, b) => (a.hostLabel < b.hostLabel ? -1 : 1));
  return { revision: tables.counters().revision, hosts: byLabel };
}

/** `GET /v1/services`: what was granted, name by name; of `names` alone when they are given, at the cost of these. */
export function listServices(registry: Registry, tables: Tables, zone: Name, names?: Name[]): ServiceList {
  registry.lapse();
  const claims =
    names === undefined
      ? [...tables.claims()]
      : [...new Set(names)].flatMap((name) => tables.claimsOfName(name));
  const granted = claims.filter((claim) => claim.refusal === undefined);
  const sorted = sortedByName(Map.groupBy(granted, (claim) => claim.name));
  const services = sorted.map(([name, group]) => ({ name, ports: portsOf(group, tables) }));
  return { revision: tables.counters().revision, zone, services };
}

/** `GET /v1/names`: whom each name belongs to. */
export function listNames(registry: Registry, tables: Tables): NameList {
  registry.lapse();
  const refused = [...tables.claims()].filter((claim) => claim.refusal?.code === "held");
  const waiting = Map.groupBy(refused, (claim) => claim.name);
  const holds = new Map([...tables.holds()].map((hold) => [hold.name, hold]));
  const names = sortedByName(holds).map(([name, hold]) => ({
    name,
    owner: hold.owner,
    hostLabel: hold.hostLabel,
    exclusive: hold.hostId !== undefined,
    since: hold.since,
    until: hold.until ?? null,
    waiting: waitingHosts(waiting.get(name) ?? [], tables),
  }));
  return { revision: tables.counters().revision, names };
}

/** In the order in which they would have it. */
function waitingHosts(claims: Claim[], tables: Tables): NameList["names"][number]["waiting"] {
  const ordered = claims.toSorted((a, b) => a.since - b.since || (a.hostId < b.hostId ? -1 : 1));
  return ordered.flatMap(({ hostId }) => {
    const host = tables.host(hostId);
    return host === undefined ? [] : [{ hostLabel: host.hostLabel, owner: host.owner }];
  });
}

function portsOf(claims: Claim[], tables: Tables): Ports {
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
    const shown = new Set(shownOf(group, ({ health }) => health));
    const endpoints = group.map((one) => endpointFrom(one, shown.has(one)));
    return [{ protocol: first.protocol, servicePort: first.servicePort, endpoints }];
  });
}

function endpointFrom(placed: Placed, isShown: boolean): SeenEndpoint {
  const { hostLabel, container, addresses, port, fixed, health, tls, txt } = placed;
  return {
    ...{ hostLabel, container, addresses, port, fixed, health },
    ...(tls === undefined ? {} : { tls }),
    ...(txt === undefined ? {} : { txt }),
    // What is healthy, or says nothing of its health, is never hidden.
    ...(isShown ? {} : { hidden: health }),
  };
}

function sortedByName<T>(map: Map<Name, T>): [Name, T][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function sortKey(placed: Placed): string {
  return `${placed.protocol} ${placed.hostLabel} ${canonicalBinding(placed)}`;
}
