import { type Address, familyOf, isLoopback, isUnspecified, parseAddress } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import type { PublishedPort } from "../engine/facts.ts";
import { advertisedFor, type SiteAddresses } from "../site.ts";

/** A port inside the container. */
export interface PortKey {
  protocol: Binding["protocol"];
  containerPort: number;
}

/** One port of a container with one host port, and where on the host that is open. */
export interface ServicePort extends PortKey, Pick<Binding, "servicePort" | "addresses" | "port" | "fixed"> {}

export interface PortFault {
  code: string;
  message: string;
}

/**
 * What of the published ports can be reached through the site's addresses. Entries of one container port with the same host port are one
 * (Docker lists IPv4 and IPv6 apart); with different host ports they stay apart, each with its own addresses. `privatePorts` are bound
 * to loopback on a host that others reach: nobody else's business, and no fault.
 */
export function servicePortsOf(
  published: readonly PublishedPort[],
  site: SiteAddresses,
): { ports: ServicePort[]; faults: PortFault[]; privatePorts: string[] } {
  const ports = new Map<string, ServicePort>();
  const unreached = new Map<string, PublishedPort>();
  const faults: PortFault[] = [];
  const privatePorts: string[] = [];
  for (const entry of published) {
    const reach = reachOf(entry, site);
    if (reach.kind === "private") privatePorts.push(displayPort(entry));
    else if (reach.kind === "fault") faults.push(reach.fault);
    else if (reach.addresses.length === 0) unreached.set(displayPort(entry), entry);
    else merge(ports, entry, reach);
  }
  const reached = [...ports.values()];
  for (const [shown, entry] of unreached) {
    // One family out of two that leads nowhere is nothing to mend: the other family's entry carries the port.
    if (reached.some((port) => port.servicePort === entry.containerPort && port.protocol === entry.protocol))
      continue;
    const family = entry.hostIp === "::" ? "IPv6" : "IPv4";
    const message = `port ${shown} is open on ${family} only, and this host advertises no ${family} address; publish it on the other one too, or add one with --advertise`;
    faults.push({ code: "not-advertised", message });
  }
  return { ports: reached, faults, privatePorts };
}

type Reach =
  | { kind: "open"; protocol: Binding["protocol"]; addresses: Address[] }
  | { kind: "private" }
  | { kind: "fault"; fault: PortFault };

function reachOf(entry: PublishedPort, site: SiteAddresses): Reach {
  const { protocol } = entry;
  if (protocol === "sctp") {
    const message = `port ${displayPort(entry)}: berth names TCP and UDP ports only; the container's others are not affected`;
    return { kind: "fault", fault: { code: "unsupported-protocol", message } };
  }
  // Podman leaves HostIp empty, and means 0.0.0.0 by it.
  const bound = parseAddress(entry.hostIp === "" ? "0.0.0.0" : entry.hostIp);
  if (bound !== undefined && isUnspecified(bound)) {
    const addresses = site.addresses.filter((address) => familyOf(address) === familyOf(bound));
    return { kind: "open", protocol, addresses };
  }
  const reached = bound === undefined ? [] : advertisedFor(site, bound);
  if (reached.length > 0) return { kind: "open", protocol, addresses: reached };
  if (bound !== undefined && isLoopback(bound) && !site.local) return { kind: "private" };
  const message = `port ${displayPort(entry)} is bound to ${entry.hostIp}, which this host does not advertise (it advertises ${site.addresses.join(", ")}); publish it on one of these, or name the address with --advertise`;
  return { kind: "fault", fault: { code: "not-advertised", message } };
}

function merge(
  ports: Map<string, ServicePort>,
  entry: PublishedPort,
  reach: { protocol: Binding["protocol"]; addresses: Address[] },
): void {
  const key = `${displayPort(entry)} ${entry.hostPort}`;
  const known = ports.get(key);
  const addresses = [...new Set([...(known?.addresses ?? []), ...reach.addresses])].toSorted();
  const fixed = entry.fixed && (known?.fixed ?? true);
  const { protocol } = reach;
  const { containerPort, hostPort: port } = entry;
  ports.set(key, { protocol, containerPort, servicePort: containerPort, addresses, port, fixed });
}

/** `80/tcp`; also what tells two ports of a container apart. */
export function displayPort(entry: { containerPort: number; protocol: string }): string {
  return `${entry.containerPort}/${entry.protocol}`;
}
