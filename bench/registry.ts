import { bootstrapAccess } from "../resolver/access.ts";
import { standardSettings } from "../resolver/settings.ts";
import { openSqliteStore, type SqliteStore } from "../resolver/store/sqlite.ts";
import { parseAddress } from "../shared/address.ts";
import type { Binding, Declared, Push } from "../shared/binding.ts";
import { digestOf } from "../shared/digest.ts";
import { serviceOwner } from "../shared/dns/endpoints.ts";
import { type Name, nameBelow, parseName } from "../shared/name.ts";

/** Names to measure with: every host declares the same number of names, one binding each, and no two hosts the same name. */

export const zone = parseName("berth.internal");
export const bindingsPerHost = 100;
/** Long enough that no lease runs out during any bench; the longest a resolver grants. */
const leaseSeconds = 3600;
const hostsPerWrite = 50;
/** Of whoever speaks for the hosts of a bench: the token file's own rights. */
export const agentAccess = bootstrapAccess("agent");
const firstPort = 20_000;

export function nameAt(index: number): Name {
  return nameBelow(`svc-${index}.bench`, zone);
}

/** Where the SRV RRset of a name stands. */
export function ownerAt(index: number): Name {
  return serviceOwner(nameAt(index), "tcp", 80);
}

/** Fifty-two base32 characters that are different for every host. */
export function hostIdAt(host: number): string {
  const digits = host.toString(32).split("");
  return digits
    .map((digit) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(digit, 32)])
    .join("")
    .padStart(52, "a");
}

/** One host's whole set. `changes` counts how often its first binding moved to another port. */
export function declaredAt(host: number, changes: number): Declared {
  const address = hostAddress(host);
  const indices = Array.from({ length: bindingsPerHost }, (_, position) => host * bindingsPerHost + position);
  const bindings = indices.map((index, position) => bindingAt(index, address, position === 0 ? changes : 0));
  return { hostLabel: `h${host}`, addresses: [address], local: false, bindings, problems: [] };
}

/** A push of that set, for the life of the registry with this `generation`. */
export async function pushAt(host: number, changes: number, generation: string): Promise<Push> {
  const declared = declaredAt(host, changes);
  const turn = { generation, epoch: 1, sequence: changes + 1 };
  return { ...turn, lease: leaseSeconds, digest: await digestOf(declared), declared };
}

export function openRegistry(file: string): SqliteStore {
  return openSqliteStore(file, standardSettings(zone), () => performance.timeOrigin + performance.now());
}

/**
 * Puts the first sets of hosts 0 to `hosts` - 1 into a store. Many pushes to one write on the disk, because it is no part of any figure.
 */
export async function fill(store: SqliteStore, hosts: number): Promise<void> {
  for (let first = 0; first < hosts; first += hostsPerWrite) {
    const count = Math.min(hostsPerWrite, hosts - first);
    const generation = store.generation();
    const pushes = await Promise.all(
      Array.from({ length: count }, (_, index) => pushAt(first + index, 0, generation)),
    );
    await Promise.all(
      store.sql.transaction(() =>
        pushes.map((push, index) => mustAccept(store, hostIdAt(first + index), push)),
      ),
    );
    // The store never waits for anything: without a pause the process would not hear that the run was broken off.
    await new Promise((resume) => setImmediate(resume));
  }
}

/** One name at service port 80 that leads to a port of 127.0.0.1. */
export async function publishLoopback(store: SqliteStore, index: number, port: number): Promise<void> {
  const address = addressFrom("127.0.0.1");
  const binding = { ...bindingAt(index, address, 0), port, fixed: true };
  const declared = {
    hostLabel: "here",
    addresses: [address],
    local: true,
    bindings: [binding],
    problems: [],
  };
  const turn = {
    generation: store.generation(),
    epoch: 1,
    sequence: 1,
    lease: leaseSeconds,
    digest: await digestOf(declared),
  };
  await mustAccept(store, hostIdAt(0), { ...turn, declared });
}

export async function mustAccept(store: SqliteStore, hostId: string, push: Push): Promise<void> {
  const { kind } = await store.push(hostId, push, agentAccess);
  if (kind !== "accepted") throw new Error(`the registry said ${kind} to a push that had to be accepted`);
}

function bindingAt(index: number, address: Declared["addresses"][number], changes: number): Binding {
  return {
    name: nameAt(index),
    rule: "compose",
    protocol: "tcp",
    servicePort: 80,
    addresses: [address],
    port: firstPort + (index % bindingsPerHost) + bindingsPerHost * (changes % 100),
    fixed: false,
    container: `bench-svc-${index}-1`,
    // As long as an agent's.
    instance: `${index.toString(16).padStart(12, "0")}@2026-01-01T00:00:00.000000000Z`,
    health: "none",
    priority: 0,
    weight: 0,
  };
}

function hostAddress(host: number): Declared["addresses"][number] {
  return addressFrom(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`);
}

function addressFrom(text: string): Declared["addresses"][number] {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is not an address`);
  return address;
}
