import { Registry } from "../registry.ts";
import type { RegistrySettings } from "../settings.ts";
import type { BindingStore } from "../store.ts";
import type { Tables } from "../tables.ts";
import { listHosts, listNames, listServices } from "../views.ts";
import { createZone } from "../zone/compiled-zone.ts";
import { createMemoryTables } from "./memory-tables.ts";
import { makeGeneration, sha256Hex } from "./node-crypto.ts";
import { createVolatileLeases } from "./volatile-leases.ts";

/** A store that lasts as long as the process: for tests and first runs. */
export function createMemoryStore(settings: RegistrySettings, now: () => number): BindingStore {
  const tables = createMemoryTables();
  const leases = createVolatileLeases(makeGeneration);
  const zone = createZone(tables, settings);
  const registry = new Registry({ tables, leases, zone, settings, now, digest: sha256Hex });
  return storeOver(registry, tables, settings);
}

/** The registry behind the store's port; everything it does is done when the promise is made. */
export function storeOver(registry: Registry, tables: Tables, { zone }: RegistrySettings): BindingStore {
  return {
    push: async (hostId, push, access) => registry.push(hostId, push, access),
    pushDelta: async (hostId, delta, access) => registry.pushDelta(hostId, delta, access),
    renew: async (hostId, renewal, access) => registry.renew(hostId, renewal, access),
    withdraw: async (hostId, turn, access) => registry.withdraw(hostId, turn, access),
    hosts: async () => listHosts(registry, tables),
    services: async (names) => listServices(registry, tables, zone, names),
    names: async () => listNames(registry, tables),
    releaseName: async (name, access) => registry.releaseName(name, access),
    read: (owner) => registry.read(owner),
  };
}
