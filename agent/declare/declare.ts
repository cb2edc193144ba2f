import { bindingText } from "../binding-text.ts";
import { sortedBy } from "../sorted.ts";
import { type Draft, draftOf } from "./drafts.ts";
import type { DeclareInput, DeclareOutcome, DeclareRules, PlacedContainer } from "./input.ts";
import { offersWithinLimits } from "./limits.ts";
import { networkOwners } from "./network-owners.ts";
import { bindingsOfNames } from "./offers.ts";
import { offersOfServices } from "./services.ts";
import { settleNames } from "./settle-names.ts";

/**
 * Everything the host declares, what people have to mend, and what the agent has to do for it. The same input gives the same answer in
 * whatever order an engine's containers come; one container's faults leave the others alone. A container whose facts object, site, relays
 * and checks are those of an earlier call costs next to nothing. The problems are not yet cut to what a push holds; see
 * problemsWithinLimits.
 */
export function declare(input: DeclareInput, rules: DeclareRules): DeclareOutcome {
  const drafts = draftsOf(input, rules);
  const services = offersOfServices(input, rules);
  const offers = [...drafts.flatMap(({ offer }) => offer ?? []), ...services.offers];
  const fitting = offersWithinLimits(offers);
  const settled = settleNames(fitting.offers);
  const bindings = fitting.offers.flatMap((offer) => bindingsOfNames(offer, settled.kept.get(offer)));
  return {
    bindings: sortedBy(bindings, bindingText),
    problems: [
      ...drafts.flatMap(({ problems }) => problems),
      ...services.problems,
      ...fitting.problems,
      ...settled.problems,
    ],
    notes: [...drafts.flatMap(({ notes }) => notes), ...services.notes],
    relays: drafts.flatMap(({ relays }) => relays),
    checks: [...drafts.flatMap(({ checks }) => checks), ...services.checks],
  };
}

function draftsOf(input: DeclareInput, rules: DeclareRules): Draft[] {
  const { relays, checks, flapping } = input;
  const ownerOf = networkOwners(input.containers);
  return inOrder(input.containers).map((placed) => {
    const isFlapping = flapping.has(placed.container.id);
    return draftOf(placed, rules, { relays, checks, isFlapping, owner: ownerOf(placed) });
  });
}

/** By engine as the operator gave them, then by name: who comes first keeps a name that two claim alike. */
export function inOrder(containers: readonly PlacedContainer[]): PlacedContainer[] {
  const byEngine = Map.groupBy(containers, ({ engine }) => engine);
  return [...byEngine.values()].flatMap((own) =>
    sortedBy(own, ({ container }) => `${container.name} ${container.id}`),
  );
}
