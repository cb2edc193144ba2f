import type { Binding } from "../../../shared/binding.ts";
import { isInZone, type Name } from "../../../shared/name.ts";
import { hostsApex } from "../../../shared/reserved.ts";
import { unfitness } from "../../fitness.ts";
import { asGranted } from "../../own-names.ts";
import type { Hold, HostRecord } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { HoldKeeper } from "./hold-keeper.ts";

/**
 * Claims for a host those of its names that nobody holds, before anybody sees its bindings: so no two resolvers grant one name. A limited
 * token's names wait until all its claims can be looked at together.
 */
export async function claimNames(
  { registry, holds }: { registry: RegistryParts; holds: HoldKeeper },
  host: HostRecord,
  declared: Binding[],
): Promise<void> {
  if (host.scope.maxBindings !== null) return;
  const { tables, settings, now } = registry;
  const granted = declared.map((binding) => asGranted(binding, host, settings.zone));
  const wanted: Hold[] = [];
  for (const [name, bindings] of Map.groupBy(granted, (binding) => binding.name)) {
    if (!isShared(settings.zone, name) || tables.hold(name) !== undefined) continue;
    const claim = { hostId: host.hostId, name, since: 0, bindings };
    if (unfitness(claim, host, settings) !== undefined) continue;
    const merges = bindings.every(({ rule }) => rule === "label" || rule === "compose");
    const { hostId, owner, hostLabel, tokenId } = host;
    wanted.push({ name, owner, ...(merges ? {} : { hostId }), hostLabel, tokenId, since: Math.floor(now()) });
  }
  await holds.claim(wanted);
}

function isShared(zone: Name, name: Name): boolean {
  return isInZone(name, zone) && !isInZone(name, hostsApex(zone));
}
