import type { Problem } from "../../shared/binding.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { problemOf } from "../problem.ts";
import type { RuledName } from "./names.ts";
import type { Offer } from "./offers.ts";

/**
 * Who keeps a name that several containers of this host give themselves:
 *
 *   by              | shared with                                        | lost to
 *   berth.name      | whoever else has it                                | nobody
 *   Compose         | berth.name, replicas of the same project's service | another service whose name becomes the same labels
 *   container, host | nobody                                             | berth.name, Compose, another container
 *
 * Of equal claims the first keeps it. Offers come sorted.
 */
export function settleNames(offers: readonly Offer[]): { offers: Offer[]; problems: Problem[] } {
  const holders = holdersOf(offers);
  const problems: Problem[] = [];
  const settled = offers.map((offer): Offer => {
    const names = offer.names.filter(({ name, rule }) => {
      const holder = holders.get(name);
      if (rule === "label" || holder === undefined || holder === claimant(rule, offer)) return true;
      const message = `${displayName(name)} belongs to ${holder} of this host; rename one of them`;
      problems.push(problemOf(offer.container.name, "name-taken", message));
      return false;
    });
    return { ...offer, names };
  });
  return { offers: settled, problems };
}

/** Compose before berth.name: only a service can keep a name from another service. */
const precedence: readonly RuledName["rule"][][] = [["compose"], ["label"], ["container", "host"]];

function holdersOf(offers: readonly Offer[]): Map<Name, string> {
  const holders = new Map<Name, string>();
  for (const rules of precedence) {
    for (const offer of offers) {
      for (const { name, rule } of offer.names) {
        if (rules.includes(rule) && !holders.has(name)) holders.set(name, claimant(rule, offer));
      }
    }
  }
  return holders;
}

/** Whoever claims a name, in words that also tell two apart: Compose's own spelling, of which the name's labels have lost some. */
function claimant(rule: RuledName["rule"], { container }: Offer): string {
  const { name, compose } = container;
  if (rule !== "compose" || compose === undefined) return `container ${name}`;
  return `Compose service ${JSON.stringify(compose.service)} of project ${JSON.stringify(compose.project)}`;
}
