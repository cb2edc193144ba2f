import { BerthError } from "../shared/errors.ts";
import { maxLabelLength, maxNameLength, type Name } from "../shared/name.ts";
import { defaultNameServer } from "../shared/reserved.ts";
import { type HoldRules, standardHoldRules } from "./grants.ts";
import { type LeaseLimits, standardLeaseLimits } from "./leases.ts";
import type { CompileRules } from "./zone/compile.ts";

export interface RegistrySettings extends CompileRules {
  nameServers: Name[];
  leaseLimits: LeaseLimits;
  holdRules: HoldRules;
}

/** Throws a BerthError `bad-config` for a zone whose own name is so long that hosts' names do not fit below it. */
export function standardSettings(zone: Name): RegistrySettings {
  // The longest name a host gets has two whole labels before `addr` and `host`.
  const longest = maxNameLength - 2 * (maxLabelLength + 1) - "addr.host.".length;
  if (zone.length > longest) {
    const message = `the zone's name has ${zone.length - 1} characters; hosts' names fit below ${longest - 1} at most`;
    throw new BerthError("bad-config", message);
  }
  const nameServers = [defaultNameServer(zone)];
  const [leaseLimits, holdRules] = [standardLeaseLimits, standardHoldRules];
  return { zone, nameServers, ttl: 5, ephemeralTtl: 1, leaseLimits, holdRules };
}
