import type { Binding, Problem } from "../../shared/binding.ts";
import { canonicalBinding } from "../../shared/digest.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { Site } from "../site.ts";
import { sortedBy } from "../sorted.ts";
import { offersWithinLimits } from "./limits.ts";
import { type Offer, offerOf } from "./offers.ts";
import { settleNames } from "./settle-names.ts";

export interface DeclaredBindings {
  bindings: Binding[];
  problems: Problem[];
  /** What is left out on purpose, for whoever looks for it. */
  notes: string[];
}

/**
 * Everything the containers declare at this site, and what people have to mend. The same containers give the same answer in whatever
 * order they come; one container's faults leave the others alone.
 */
export function bindingsFromContainers(containers: readonly ContainerFacts[], site: Site): DeclaredBindings {
  const offered = sortedBy(containers.filter(isOffered), ({ name, id }) => `${name} ${id}`);
  const found = offered.map((container) => offerOf(container, site));
  const fitting = offersWithinLimits(found.flatMap(({ offer }) => offer ?? []));
  const settled = settleNames(fitting.offers);
  return {
    bindings: sortedBy(settled.offers.flatMap(bindingsOf), canonicalBinding),
    problems: [...found.flatMap(({ problems }) => problems), ...fitting.problems, ...settled.problems],
    notes: found.flatMap(({ notes }) => notes),
  };
}

/** Compose renames a container it is about to replace to `<12 hex digits>_<name>`; that name must never be seen. */
const composeTemporary = /^[0-9a-f]{12}_/;

function isOffered(container: ContainerFacts): boolean {
  return container.running && container.compose?.oneoff !== true && !composeTemporary.test(container.name);
}

function bindingsOf({ container, names, ports, http }: Offer): Binding[] {
  const shared = {
    container: container.name.slice(0, 255),
    instance: `${container.id.slice(0, 12)}@${container.startedAt}`.slice(0, 160),
    health: container.health,
    priority: 0,
    weight: 1,
  };
  return names.flatMap(({ name, rule }) =>
    ports.map((port): Binding => {
      const leads = port.protocol === "tcp" && port.servicePort === http;
      return { name, rule, ...port, ...shared, ...(http === undefined ? {} : { http: leads }) };
    }),
  );
}
