import type { Name } from "../../shared/name.ts";
import type { Claim, Counters, HostRecord } from "../records.ts";
import { Registry, type RegistrySettings } from "../registry.ts";
import type { BindingStore } from "../store.ts";
import { createVolatileLeases, type Tables } from "../tables.ts";
import { listHosts, listServices } from "../views.ts";
import { createMemoryZone } from "../zone/memory-zone.ts";

/** A store that lasts as long as the process: for tests and first runs. */
export function createMemoryStore(settings: RegistrySettings, now: () => number): BindingStore {
  const parts = {
    tables: createMemoryTables(),
    leases: createVolatileLeases(),
    zone: createMemoryZone(),
    settings,
    now,
  };
  return storeOver(new Registry(parts), parts.tables, settings.zone);
}

/** The registry behind the store's port; everything it does is done when the promise is made. */
export function storeOver(registry: Registry, tables: Tables, zone: Name): BindingStore {
  return {
    push: async (hostId, push) => registry.push(hostId, push),
    renew: async (hostId, renewal) => registry.renew(hostId, renewal),
    withdraw: async (hostId) => registry.withdraw(hostId),
    hosts: async () => listHosts(registry, tables),
    services: async () => listServices(registry, tables, zone),
    read: (owner) => registry.read(owner),
  };
}

/** Tables in maps. */
export function createMemoryTables(): Tables {
  const hosts = new Map<string, HostRecord>();
  const claimsByHost = new Map<string, Map<Name, Claim>>();
  const claimsByName = new Map<Name, Map<string, Claim>>();
  let counters: Counters = { revision: 0, serial: 0 };
  return {
    // Maps do not fail half way: there is nothing to roll back.
    transaction: (change) => change(),
    counters: () => counters,
    setCounters: (next) => {
      counters = next;
    },
    host: (hostId) => hosts.get(hostId),
    hosts: () => [...hosts.values()],
    putHost: (host) => void hosts.set(host.hostId, host),
    deleteHost: (hostId) => void hosts.delete(hostId),
    isLabelTaken: (label, hostId) => {
      return [...hosts.values()].some((host) => host.hostLabel === label && host.hostId !== hostId);
    },
    claimsOfHost: (hostId) => [...(claimsByHost.get(hostId)?.values() ?? [])],
    claimsOfName: (name) => [...(claimsByName.get(name)?.values() ?? [])],
    refusalsOf: (hostId) => {
      const refusals = [...(claimsByHost.get(hostId)?.values() ?? [])].flatMap(
        (claim) => claim.refusal ?? [],
      );
      return refusals.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    claims: () => [...claimsByName.values()].flatMap((claims) => [...claims.values()]),
    putClaim(claim) {
      place(claimsByHost, claim.hostId, claim.name, claim);
      place(claimsByName, claim.name, claim.hostId, claim);
    },
    deleteClaim(hostId, name) {
      displace(claimsByHost, hostId, name);
      displace(claimsByName, name, hostId);
    },
  };
}

function place<A, B>(index: Map<A, Map<B, Claim>>, outer: A, inner: B, claim: Claim): void {
  const claims = index.get(outer) ?? new Map<B, Claim>();
  claims.set(inner, claim);
  index.set(outer, claims);
}

function displace<A, B>(index: Map<A, Map<B, Claim>>, outer: A, inner: B): void {
  const claims = index.get(outer);
  claims?.delete(inner);
  if (claims?.size === 0) index.delete(outer);
}
