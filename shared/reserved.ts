import { displayName, isInZone, labelsOf, maxNameLength, type Name, nameBelow, parentOf } from "./name.ts";

/** Names berth keeps for itself, settled once for the agent (which says so early) and the registry (which enforces it). */

/** Below it every container host has its own subtree: `<host>.host.<zone>`. */
export function hostsApex(zone: Name): Name {
  return nameBelow("host", zone);
}

/** The name of the authoritative server, as the zone's NS RRset gives it unless the operator names others. */
export function defaultNameServer(zone: Name): Name {
  return nameBelow("ns", zone);
}

/**
 * Whether `name` is one that leads to a container host itself: `<host>.host.<zone>`, a part of its addresses at
 * `<part>.addr.<host>.host.<zone>`, or the zone's name server. No container ever has such a name, whatever its own name is: containers
 * of a host get exactly one label below it.
 */
export function isHostAddressName(name: Name, zone: Name): boolean {
  if (name === defaultNameServer(zone)) return true;
  const apex = hostsApex(zone);
  if (name === apex || !isInZone(name, apex)) return false;
  const below = labelsOf(name).slice(0, -labelsOf(apex).length);
  return below.length === 1 || (below.length === 3 && below[1] === "addr");
}

/**
 * Asked by `berth dns status` to see where a program's question ends: the proxy's own DNS listener answers it with the address it listens
 * at, and nobody else ever does.
 */
export function probeName(zone: Name): Name {
  return nameBelow("_berth-probe", zone);
}

/** The zone whose name for probes it is; undefined for any other name. */
export function zoneOfProbe(name: Name): Name | undefined {
  const zone = parentOf(name);
  return zone !== undefined && name === probeName(zone) ? zone : undefined;
}

export interface NameRefusal {
  code: "out-of-zone" | "reserved" | "too-long";
  message: string;
}

/**
 * Says why a container may not be given `name`, or undefined when it may. `nameServers` are the zone's NS targets. The message does not
 * repeat the name.
 */
export function nameRefusal(
  name: Name,
  zone: Name,
  nameServers: readonly Name[] = [defaultNameServer(zone)],
): NameRefusal | undefined {
  const shown = displayName(zone);
  if (!isInZone(name, zone)) return { code: "out-of-zone", message: `it is not in the zone ${shown}` };
  if (name === zone) return { code: "reserved", message: "the zone itself is reserved" };
  if (isInZone(name, hostsApex(zone))) {
    return { code: "reserved", message: `names below host.${shown} are reserved for container hosts` };
  }
  // Its usual name too where the operator names others: isHostAddressName knows no others.
  if (name === defaultNameServer(zone) || nameServers.includes(name)) {
    return { code: "reserved", message: "it is reserved for the zone's name server" };
  }
  return portNamesRefusal(name);
}

/** What `nameRefusal` says of the names below `name` that its ports get, whoever the name belongs to. */
export function portNamesRefusal(name: Name): NameRefusal | undefined {
  const service = labelsOf(name).find((label) => label.startsWith("_"));
  if (service !== undefined) {
    const message = `labels with a leading underscore, such as ${service}, are reserved for ports`;
    return { code: "reserved", message };
  }
  const room = maxNameLength - "_65535._tcp.".length;
  if (name.length <= room) return undefined;
  return { code: "too-long", message: `it leaves no room for its ports; it may have ${room - 1} characters` };
}
