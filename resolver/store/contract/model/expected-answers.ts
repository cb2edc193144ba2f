import { type Address, familyOf } from "../../../../shared/address.ts";
import type { Binding } from "../../../../shared/binding.ts";
import { type ModelHost, type ModelState, wishesFor } from "./state.ts";

/** What is answered at one owner name, as texts; TTLs by type. */
export interface Answer {
  exists: boolean;
  addresses: string[];
  /** `address:port` through the SRV RRs. */
  endpoints: string[];
  /** The strings of each TXT RR. */
  texts: string[];
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
  // Declared and not ready yet: the name is there, and nothing else.
  if (services.size === 0) return void answers.set(name, { ...emptyAnswer(), exists: true });
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
    const said = textsIn(state, group);
    const srv = { exists, endpoints: endpointsOf(group), texts: said.texts };
    answers.set(`_${port}._tcp.${name}`, { ...emptyAnswer(), ...srv, ttls: { SRV: ttl, ...said.ttls } });
  }
  const ports = [...services.keys()].toSorted((a, b) => a - b).map((port) => `_${port}._tcp.${name}`);
  const ttls = { PTR: ttlOf(state, hosts, 5) };
  answers.set(`_tcp.${name}`, { ...emptyAnswer(), exists, ports, ttls });
  const open = shown.flatMap(({ binding }) => binding.addresses);
  const [at, said] = [addressesIn(state, open, hosts), textsIn(state, shown)];
  answers.set(name, { ...emptyAnswer(), exists, ...at, ...said, ttls: { ...at.ttls, ...said.ttls } });
}

/** One RR for each distinct set of strings. */
function textsIn(state: ModelState, group: Placed[]): Pick<Answer, "texts" | "ttls"> {
  const saying = group.filter(({ binding }) => binding.txt !== undefined);
  const texts = new Set(saying.map(({ binding }) => (binding.txt ?? []).toSorted().join(" ")));
  const hosts = saying.map(({ host }) => host);
  return { texts: [...texts].toSorted(), ttls: texts.size === 0 ? {} : { TXT: ttlOf(state, hosts, 5) } };
}

/** By port; the only port stands in for 80 as well, or for 443 where it is TLS. Starting instances are no answer, unhealthy ones a last resort. */
function servicesOf(placed: Placed[]): Map<number, Placed[]> {
  const services = Map.groupBy(placed, ({ binding }) => binding.servicePort);
  const secure = placed.filter(({ binding }) => binding.tls);
  const isAlone = services.size === 1 && !services.has(80);
  if (isAlone) services.set(secure.length > 0 ? 443 : 80, secure.length > 0 ? secure : placed);
  for (const [port, group] of services) {
    const of = (...healths: string[]) => group.filter(({ binding }) => healths.includes(binding.health));
    const shown = of("healthy", "none").length > 0 ? of("healthy", "none") : of("unhealthy");
    if (shown.length === 0) services.delete(port);
    else services.set(port, shown);
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
  return { exists: false, addresses: [], endpoints: [], texts: [], ports: [], ttls: {} };
}
