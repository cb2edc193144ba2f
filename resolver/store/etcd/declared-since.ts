import type { Name } from "../../../shared/name.ts";
import { changedClaim, sameBindings } from "../../apply.ts";
import { asDeclared, asGranted } from "../../own-names.ts";
import type { Plan } from "../../plan.ts";
import type { Claim } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { Declaration } from "./chunks.ts";
import type { Mirror } from "./mirror.ts";

/** What the plan brings, else what is held; each name with since when the host declares it. */
export function declarationsFor(
  mirror: Pick<Mirror, "counters">,
  registry: RegistryParts,
  plan: Plan,
): Declaration[] {
  const { tables, settings } = registry;
  const { host, held, declared } = plan;
  const known = plan.known ?? tables.claimsOfHost(host.hostId);
  if (declared === undefined) {
    return known.flatMap(({ since, bindings }) => {
      const said = bindings.map((binding) => asDeclared(binding, held ?? host, settings.zone));
      return said[0] === undefined ? [] : [{ name: said[0].name, since, bindings: said }];
    });
  }
  const claims = new Map(known.map((claim) => [claim.name, claim]));
  // Later than anything this resolver has seen; of what others write at the same moment the host id decides.
  const next = mirror.counters().revision + 1;
  return [...Map.groupBy(declared.bindings, ({ name }) => name)].map(([name, bindings]) => {
    const granted = bindings.map((binding) => asGranted(binding, host, settings.zone));
    return { name, bindings, since: sinceOf(claims, granted, host.hostId, next) };
  });
}

function sinceOf(
  claims: Map<Name, Claim>,
  bindings: Claim["bindings"],
  hostId: string,
  next: number,
): number {
  const before = claims.get(bindings[0]?.name as Name);
  if (before !== undefined && sameBindings(before.bindings, bindings)) return before.since;
  return changedClaim(before, { hostId, name: before?.name as Name, bindings, since: next }).since;
}
