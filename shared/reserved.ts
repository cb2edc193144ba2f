import { displayName, isInZone, labelsOf, maxNameLength, type Name, nameBelow } from "./name.ts";

/** Names berth keeps for itself, settled once for the agent (which says so early) and the registry (which enforces it). */

/** Below it every container host has its own subtree: `<host>.host.<zone>`. */
export function hostsApex(zone: Name): Name {
  return nameBelow("host", zone);
}

/** The name of the authoritative server, as the zone's NS RRset gives it unless the operator names others. */
export function defaultNameServer(zone: Name): Name {
  return nameBelow("ns", zone);
}

export interface NameRefusal {
  code: "out-of-zone" | "reserved" | "too-long";
  message: string;
}

/** Says why a container may not be given `name`, or undefined when it may. `nameServers` are the zone's NS targets. */
export function nameRefusal(name: Name, zone: Name, nameServers: readonly Name[]): NameRefusal | undefined {
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
  return portNamesRefusal(name);
}

/** What `nameRefusal` says of the names below `name` that its ports get, whoever the name belongs to. */
export function portNamesRefusal(name: Name): NameRefusal | undefined {
  const shown = displayName(name);
  if (labelsOf(name).some((label) => label.startsWith("_"))) {
    return { code: "reserved", message: `${shown} is reserved: labels starting with _ are made from ports` };
  }
  const room = maxNameLength - "_65535._tcp.".length;
  if (name.length <= room) return undefined;
  return {
    code: "too-long",
    message: `${shown} leaves no room for its ports; at most ${room - 1} characters`,
  };
}
