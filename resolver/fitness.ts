import type { Refusal } from "../shared/binding.ts";
import { type Name, nameBelow, parentOf } from "../shared/name.ts";
import { hostsApex, nameRefusal, portNamesRefusal } from "../shared/reserved.ts";
import { allowsName } from "./access.ts";
import type { Claim, HostRecord } from "./records.ts";

/** What a name may be, as far as the registry's settings tell. */
export interface NameRules {
  zone: Name;
  nameServers: Name[];
}

/** Why a claim could not be granted whoever else wants its name: the name itself, or the token of its host. Undefined for a fit one. */
export function unfitness(claim: Claim, host: HostRecord, rules: NameRules): Refusal | undefined {
  const { name } = claim;
  const isHostsOwn = claim.bindings.every((binding) => binding.rule === "host");
  const byName = isHostsOwn ? portNamesRefusal(name) : nameRefusal(name, rules.zone, rules.nameServers);
  if (byName !== undefined) return { name, ...byName };
  if (!isHostsOwn) return refusalByScope(name, host, rules.zone);
  if (parentOf(name) === nameBelow(host.hostLabel, hostsApex(rules.zone))) return undefined;
  const message = `a host's own names stand below ${host.hostLabel}.host, its label; nothing else may`;
  return { name, code: "reserved", message };
}

/** What a claim is told that a limited token has no room for. */
export function refusalForRoom(name: Name, { scope }: HostRecord): Refusal {
  const limit = `its token has room for ${scope.maxBindings} bindings of all its hosts, names kept for it included`;
  const message = `${limit}; it is granted when others go, or use a token with a higher limit`;
  return { name, code: "over-limit", message };
}

function refusalByScope(name: Name, { scope }: HostRecord, zone: Name): Refusal | undefined {
  if (allowsName(scope, name, zone)) return undefined;
  const shown = scope.names.slice(0, 5).join(", ");
  const more = scope.names.length > 5 ? ", ..." : "";
  const message = `its token may declare ${shown}${more} below the zone only; give the container such a name with a berth.name label, or its agent another token`;
  return { name, code: "not-allowed", message };
}
