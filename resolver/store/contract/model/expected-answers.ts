import { type Address, familyOf } from "../../../../shared/address.ts";
import type { Binding } from "../../../../shared/binding.ts";
import { type ModelHost, type ModelState, wishesFor } from "./state.ts";

/** What is answered at one owner name, as texts; TTLs by type. */
export interface Answer {
  exists: boolean;
  addresses: string[];
  /** `address:port` through the SRV RRs. */
  endpoints: string[];
  /** Owner names of the ports there are. */
  ports: string[];
  ttls: Record<string, number>;
}

export type Answers = Map<string, Answer>;

interface Placed {
  host: ModelHost;
  binding: Binding;
}

/** Every owner name with RRs, from what is granted. */
export function answersFrom(state: ModelState): Answers {
  const answers: Answers = new Map();
  for (const host of state.hosts.values()) addHost(state, answers, host);
  const names = new Set([...state.hosts.values()].flatMap(({ claims }) => [...claims.keys()]));
  for (const name of names) addName(state, answers, name);
  return answers;
}

/** Whether `owner` or a name below it has RRs; if not, it is NXDOMAIN (RFC 8020). */
export function answerAt(answers: Answers, owner: string): Answer {
  const isThere = owner === "" || [...answers.keys()].some((other) => other.endsWith(`.${owner}`));
  return answers.get(owner) ?? { ...emptyAnswer(), exists: isThere };
}

/** The host's addresses, and those of a family where something is open on that alone. */
function addHost(state: ModelState, answers: Answers, host: ModelHost): void {
  const { addresses, label, declared } = host;
  const parts = declared.bindings.map((binding) => [targetOf(host, binding), binding.addresses] as const);
  for (const [owner, part] of [[`${label}.host`, addresses] as const, ...parts]) {
    answers.set(owner, { ...emptyAnswer(), ...addressesIn(state, part, [host]), exists: true });
  }
}

function addName(state: ModelState, answers: Answers, name: string): void {
  const granted = wishesFor(state, name).filter(({ claim }) => claim.refusal === undefined);
  const placed = granted.flatMap(({ host, claim }) => claim.bindings.map((binding) => ({ host, binding })));
  if (placed.length === 0) return;
  const services = servicesOf(placed);
  const shown = [...services.values()].flat();
  const hosts = shown.map(({ host }) => host);
  const exists = true;
  for (const [port, group] of services) {
    const isFixed = group.every(({ binding }) => binding.fixed);
    const ttl = ttlOf(
      state,
      group.map(({ host }) => host),
      isFixed ? 5 : 1,
    );
    const endpoints = endpointsOf(group);
    answers.set(`_${port}._tcp.${name}`, { ...emptyAnswer(), exists, endpoints, ttls: { SRV: ttl } });
  }
  const ports = [...services.keys()].toSorted((a, b) => a - b).map((port) => `_${port}._tcp.${name}`);
  const ttls = { PTR: ttlOf(state, hosts, 5) };
  answers.set(`_tcp.${name}`, { ...emptyAnswer(), exists, ports, ttls });
  const open = shown.flatMap(({ binding }) => binding.addresses);
  answers.set(name, { ...emptyAnswer(), exists, ...addressesIn(state, open, hosts) });
}

/** By port; the only port stands in for 80 as well. Unhealthy and starting instances are a last resort. */
function servicesOf(placed: Placed[]): Map<number, Placed[]> {
  const services = Map.groupBy(placed, ({ binding }) => binding.servicePort);
  if (services.size === 1) services.set(80, placed);
  for (const [port, group] of services) {
    const ready = group.filter(({ binding }) => ["healthy", "none"].includes(binding.health));
    if (ready.length > 0) services.set(port, ready);
  }
  return services;
}

/** One for each published port and address of each distinct pair of a port and the addresses where it is open. */
function endpointsOf(group: Placed[]): string[] {
  const distinct = new Map(
    group.map((one) => [`${targetOf(one.host, one.binding)} ${one.binding.port}`, one.binding]),
  );
  return [...distinct.values()]
    .flatMap(({ addresses, port }) => addresses.map((address) => `${address}:${port}`))
    .toSorted();
}

function targetOf({ label, addresses }: ModelHost, binding: Binding): string {
  const [first] = binding.addresses;
  if (binding.addresses.length === addresses.length || first === undefined) return `${label}.host`;
  return `v${familyOf(first)}.addr.${label}.host`;
}

function addressesIn(
  state: ModelState,
  addresses: Address[],
  hosts: ModelHost[],
): Pick<Answer, "addresses" | "ttls"> {
  const ttl = ttlOf(state, hosts, 5);
  const types = addresses.map((address) => (familyOf(address) === 4 ? "A" : "AAAA"));
  return {
    addresses: [...new Set(addresses)].toSorted(),
    ttls: Object.fromEntries(types.map((type) => [type, ttl])),
  };
}

/** At most a third of the shortest lease, and no more than the least that is left. */
function ttlOf({ now }: ModelState, hosts: ModelHost[], standard: number): number {
  const third = Math.floor(Math.min(...hosts.map(({ lease }) => lease)) / 3);
  const left = Math.floor(Math.min(...hosts.map(({ expiresAt }) => expiresAt - now)) / 1000);
  return Math.max(0, Math.min(Math.max(1, Math.min(standard, third)), left));
}

function emptyAnswer(): Answer {
  return { exists: false, addresses: [], endpoints: [], ports: [], ttls: {} };
}
