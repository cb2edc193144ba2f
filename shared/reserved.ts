import { displayName, isInZone, labelsOf, type Name, nameBelow } from "./name.ts";

/** Names berth keeps for itself, settled once for the agent (which says so early) and the registry (which enforces it). */

/** Below it every container host has its own subtree: `<host>.host.<zone>`. */
export function hostsApex(zone: Name): Name {
  return nameBelow("host", zone);
}

/** The name of the authoritative server, as the zone's NS RRset gives it unless the operator names others. */
export function defaultNameServer(zone: Name): Name {
  return nameBelow("ns", zone);
}

/** Says why a container may not be given `name`, or undefined when it may. `nameServers` are the zone's NS targets. */
export function nameRefusal(
  name: Name,
  zone: Name,
  nameServers: readonly Name[],
): { code: "out-of-zone" | "reserved"; message: string } | undefined {
  const shown = displayName(name);
  if (!isInZone(name, zone) || name === zone) {
    return { code: "out-of-zone", message: `${shown} is not below the zone ${displayName(zone)}` };
  }
  if (isInZone(name, hostsApex(zone))) {
    return {
      code: "reserved",
      message: `${shown} is reserved: names ending in host.${displayName(zone)} are the hosts' own`,
    };
  }
  if (nameServers.includes(name)) {
    return { code: "reserved", message: `${shown} is reserved: it is the zone's name server` };
  }
  if (labelsOf(name).some((label) => label.startsWith("_"))) {
    return { code: "reserved", message: `${shown} is reserved: labels starting with _ are made from ports` };
  }
  return undefined;
}
