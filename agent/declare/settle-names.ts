import type { Problem } from "../../shared/binding.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { problemOf } from "../problem.ts";
import type { RuledName } from "./names.ts";
import type { Offer } from "./offers.ts";

export interface Settled {
  /** The names each offer keeps; undefined: all of its own. */
  kept: Map<Offer, ReadonlySet<Name> | undefined>;
  problems: Problem[];
}

/**
 * Who keeps a name that several containers of this host give themselves:
 *
 *   by              | shared with                                        | lost to
 *   label           | whoever else has it by a label                     | nobody
 *   Compose         | labels, replicas of the same project's service     | another service whose name becomes the same labels
 *   container, host | nobody                                             | labels, Compose, another container
 *
 * Of equal claims the first keeps it. Offers come sorted: by engine, then by name, services declared in files last.
 */
export function settleNames(offers: readonly Offer[]): Settled {
  const holders = holdersOf(offers);
  const problems: Problem[] = [];
  const kept = new Map<Offer, ReadonlySet<Name> | undefined>();
  for (const offer of offers) {
    const lost = offer.names.filter((claim) => isLost(claim, offer, holders));
    kept.set(offer, lost.length === 0 ? undefined : namesWithout(offer, new Set(lost)));
    for (const { name, rule } of lost) {
      if (rule === "host" && offer.yieldsHostName) continue;
      const message = `${offer.place}${displayName(name)} belongs to ${holders.get(name)?.words} of this host; rename one of them`;
      problems.push(problemOf(offer.shown, "name-taken", message));
    }
  }
  return { kept, problems };
}

function namesWithout({ names }: Offer, lost: ReadonlySet<RuledName>): ReadonlySet<Name> {
  return new Set(names.filter((claim) => !lost.has(claim)).map(({ name }) => name));
}

interface Claimant {
  key: string;
  words: string;
}

function isLost({ name, rule }: RuledName, offer: Offer, holders: ReadonlyMap<Name, Claimant>): boolean {
  if (rule === "label") return false;
  const holder = holders.get(name);
  return holder !== undefined && holder.key !== claimant(rule, offer).key;
}

/** Compose before labels: only a service can keep a name from another service. */
const precedence: readonly RuledName["rule"][][] = [["compose"], ["label"], ["container", "host"]];

function holdersOf(offers: readonly Offer[]): Map<Name, Claimant> {
  const holders = new Map<Name, Claimant>();
  for (const rules of precedence) {
    for (const offer of offers) {
      for (const { name, rule } of offer.names) {
        if (rules.includes(rule) && !holders.has(name)) holders.set(name, claimant(rule, offer));
      }
    }
  }
  return holders;
}

/** Compose's own spelling tells two services apart of which the name's labels have lost some; a container's key, two of one name. */
function claimant(rule: RuledName["rule"], { called, key, compose }: Offer): Claimant {
  if (rule !== "compose" || compose === undefined) return { key, words: called };
  const words = `Compose service ${JSON.stringify(compose.service)} of project ${JSON.stringify(compose.project)}`;
  return { key: words, words };
}
