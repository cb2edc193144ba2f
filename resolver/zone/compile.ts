import { type Address, familyOf } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import { canonicalBinding } from "../../shared/digest.ts";
import { RRType } from "../../shared/dns/constants.ts";
import { addressRdata, type Protocol, portListOwner, serviceOwner } from "../../shared/dns/endpoints.ts";
import type { Rdata } from "../../shared/dns/message.ts";
import { maxLabelLength, type Name, nameBelow } from "../../shared/name.ts";
import { hostsApex } from "../../shared/reserved.ts";
import type { Claim, HostRecord, RRset, ZoneEntry } from "../records.ts";
import { shownOf } from "./health.ts";
import { httpAliases } from "./http-alias.ts";
import { textRdata } from "./text-records.ts";

/*
 * Declared sets in, RRsets by owner name out. One call compiles what follows from one name, or from one host; nothing else of the zone
 * is looked at, so the cost of a push follows its change.
 *
 *   web.shop.<zone>             A, AAAA   where any port of the name is open; none, and no names below, while all of it is starting
 *                               TXT       what its instances say of themselves
 *   _tcp.web.shop.<zone>        PTR       the owner names below it, so that a client can say which ports there are
 *   _80._tcp.web.shop.<zone>    SRV       one RR per distinct (published port, address set), to a target with exactly those addresses
 *                               TXT       what the instances behind that port say
 *   nas.host.<zone>             A, AAAA   all advertised addresses of a host
 *   v4.addr.nas.host.<zone>     A         a part of them, where some port is open on no more than that part
 */

export interface CompileRules {
  zone: Name;
  /** Seconds: of every RRset without an ephemeral port, and of those with one. */
  ttl: number;
  ephemeralTtl: number;
}

/** A granted claim with the host that made it. */
export interface Grant {
  claim: Claim;
  host: HostRecord;
}

interface Placed {
  binding: Binding;
  host: HostRecord;
}

/** Entries for a service name, sorted by owner. No grants, no entries. */
export function compileName(name: Name, grants: Grant[], rules: CompileRules): ZoneEntry[] {
  const placed = grants.flatMap(({ claim, host }) => claim.bindings.map((binding) => ({ binding, host })));
  if (placed.length === 0) return [];
  // Sorted, because neither the tables nor an agent promise an order, and of two RRs that differ in weight only one stays.
  const services = servicesOf(placed.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)));
  const entries = [...services].map(([key, group]) => serviceEntry(name, key, group, rules));
  for (const protocol of ["tcp", "udp"] as const)
    entries.push(...portListEntry(name, protocol, services, rules));
  entries.push(addressEntry(name, [...services.values()].flat(), rules));
  return entries.toSorted((a, b) => (a.owner < b.owner ? -1 : 1));
}

/** Entries for a host's own names, sorted by owner: its addresses, and one target for every part of them in use. */
export function compileHost(host: HostRecord, rules: CompileRules): ZoneEntry[] {
  const entries = [host.addresses, ...host.parts].map((addresses): ZoneEntry => {
    const rrsets = addressRRsets(addresses, [host.hostId], ttlFor([host], rules.ttl));
    return { owner: targetOf(host, addresses, rules.zone), rrsets, additional: [], fixed: true };
  });
  return entries.toSorted((a, b) => (a.owner < b.owner ? -1 : 1));
}

/** The distinct sets of addresses in use by `bindings` that are not all of a host's: each becomes a target of its own. Sorted. */
export function addressParts(addresses: Address[], bindings: Binding[]): Address[][] {
  const keyOf = (set: Address[]) => [...new Set(set)].toSorted().join();
  const parts = new Map(bindings.map((binding) => [keyOf(binding.addresses), binding.addresses]));
  parts.delete(keyOf(addresses));
  return sortedByKey(parts).map((part) => [...new Set(part)].toSorted());
}

/** By protocol and service port, aliases included: of each the instances that are answered. A port that has none is not there. */
function servicesOf(placed: Placed[]): Map<string, Placed[]> {
  const services = Map.groupBy(placed, ({ binding }) => `${binding.protocol} ${binding.servicePort}`);
  // By all that is declared: what a URL means must not change with the health of another port.
  for (const alias of httpAliases(placed.map(({ binding }) => binding))) {
    const behind = (services.get(`tcp ${alias.backedBy}`) ?? []).filter(({ binding }) =>
      alias.serves(binding),
    );
    services.set(`tcp ${alias.servicePort}`, behind);
  }
  const shown = [...services].map(
    ([key, group]) => [key, shownOf(group, ({ binding }) => binding.health)] as const,
  );
  return new Map(shown.filter(([, group]) => group.length > 0));
}

function serviceEntry(name: Name, key: string, group: Placed[], rules: CompileRules): ZoneEntry {
  const [protocol, servicePort] = key.split(" ");
  const fixed = group.every(({ binding }) => binding.fixed);
  const rdata = new Map<string, Rdata>();
  const additional = new Map<Name, ZoneEntry["additional"]>();
  for (const { binding, host } of group) {
    const { priority, weight, port } = binding;
    const target = targetOf(host, binding.addresses, rules.zone);
    rdata.set(`${port} ${target}`, { type: RRType.SRV, priority, weight, port, target });
    const addresses = addressRRsets(binding.addresses, [host.hostId], ttlFor([host], rules.ttl));
    additional.set(
      target,
      addresses.map((rrset) => ({ owner: target, rrset })),
    );
  }
  const hosts = hostsOf(group);
  const ttl = ttlFor(hosts, fixed ? rules.ttl : rules.ephemeralTtl);
  return {
    owner: serviceOwner(name, protocol as Protocol, Number(servicePort)),
    // Sorted, so that the same declared sets always compile to the same bytes.
    rrsets: [
      { ttl, rdata: sortedByKey(rdata), hosts: hosts.map((host) => host.hostId) },
      ...textRRsets(group, rules),
    ],
    additional: sortedByKey(additional).flat(),
    fixed,
  };
}

function portListEntry(
  name: Name,
  protocol: Protocol,
  services: Map<string, Placed[]>,
  rules: CompileRules,
): ZoneEntry[] {
  const own = [...services].filter(([key]) => key.startsWith(`${protocol} `));
  if (own.length === 0) return [];
  const ports = own.map(([key]) => Number(key.split(" ")[1])).toSorted((a, b) => a - b);
  const rdata = ports.map(
    (port): Rdata => ({ type: RRType.PTR, target: serviceOwner(name, protocol, port) }),
  );
  const hosts = hostsOf(own.flatMap(([, group]) => group));
  const rrset = { ttl: ttlFor(hosts, rules.ttl), rdata, hosts: hosts.map((host) => host.hostId) };
  return [{ owner: portListOwner(name, protocol), rrsets: [rrset], additional: [], fixed: true }];
}

/** Of a name that is declared and has nothing to show yet: no RRs, which is NODATA. That a name has none is never copied. */
function addressEntry(name: Name, placed: Placed[], rules: CompileRules): ZoneEntry {
  if (placed.length === 0) return { owner: name, rrsets: [], additional: [], fixed: false };
  const addresses = [...new Set(placed.flatMap(({ binding }) => binding.addresses))].toSorted();
  const hosts = hostsOf(placed);
  const hostIds = hosts.map((host) => host.hostId);
  const rrsets = addressRRsets(addresses, hostIds, ttlFor(hosts, rules.ttl));
  return { owner: name, rrsets: [...rrsets, ...textRRsets(placed, rules)], additional: [], fixed: true };
}

function textRRsets(placed: Placed[], rules: CompileRules): RRset[] {
  const saying = placed.filter(({ binding }) => (binding.txt?.length ?? 0) > 0);
  const rdata = textRdata(saying.map(({ binding }) => binding));
  if (rdata.length === 0) return [];
  const hosts = hostsOf(saying);
  return [{ ttl: ttlFor(hosts, rules.ttl), rdata, hosts: hosts.map((host) => host.hostId) }];
}

function addressRRsets(addresses: Address[], hosts: string[], ttl: number): RRset[] {
  const families = Map.groupBy([...new Set(addresses)].toSorted(), familyOf);
  return [...families.values()].map((family) => ({ ttl, rdata: family.map(addressRdata), hosts }));
}

/** The owner name whose addresses are exactly `addresses` of `host`. */
function targetOf(host: HostRecord, addresses: Address[], zone: Name): Name {
  const hostName = nameBelow(host.hostLabel, hostsApex(zone));
  const part = addressLabel(addresses, host.addresses);
  return part === undefined ? hostName : nameBelow(`${part}.addr`, hostName);
}

/** Undefined for all of the host's addresses; `v4` or `v6` for all of one family; else the addresses themselves, in letters and digits. */
function addressLabel(addresses: Address[], all: Address[]): string | undefined {
  const wanted = [...new Set(addresses)].toSorted();
  const isAllOf = (family: Address[]) => [...new Set(family)].toSorted().join() === wanted.join();
  if (isAllOf(all)) return undefined;
  if (isAllOf(all.filter((address) => familyOf(address) === 4))) return "v4";
  if (isAllOf(all.filter((address) => familyOf(address) === 6))) return "v6";
  const label = wanted.map(labelOfAddress).join("x");
  return label.length <= maxLabelLength ? label : `set-${fingerprint(wanted.join())}`;
}

/** 10-0-0-5, or all eight groups of an IPv6 address: a label may neither hold a colon nor end with a hyphen. */
function labelOfAddress(address: Address): string {
  if (familyOf(address) === 4) return address.replaceAll(".", "-");
  const [head = [], tail = []] = address
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const zeros = Array<string>(8 - head.length - tail.length).fill("0");
  return [...head, ...zeros, ...tail].join("-");
}

/** 64-bit FNV-1a in hex: a name for a set whose addresses do not fit a label. */
function fingerprint(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

function sortKey({ binding, host }: Placed): string {
  return `${host.hostId} ${canonicalBinding(binding)}`;
}

function hostsOf(placed: Placed[]): HostRecord[] {
  return [...new Map(placed.map(({ host }) => [host.hostId, host])).values()];
}

/** Constant, at most a third of the shortest lease, at least 1 s: a lapse is never hidden by a cache for long. */
function ttlFor(hosts: HostRecord[], standard: number): number {
  const shortest = Math.min(...hosts.map((host) => host.lease));
  return Math.max(1, Math.min(standard, Math.floor(shortest / 3)));
}

function sortedByKey<T>(map: Map<string, T>): T[] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
