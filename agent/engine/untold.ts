import type { Problem } from "../../shared/binding.ts";
import type { PlacedContainer } from "../declare/input.ts";
import { type KnownEngine, type Moment, standingOf } from "./engine-standing.ts";
import { engineProblem } from "./engine-view.ts";
import type { ContainerFacts } from "./facts.ts";

/** What is known of engines and not declared. */
export interface Untold {
  /** Why nothing is declared of these, by what was read of them last. */
  withheld: Map<PlacedContainer, string>;
  /** Of engines that nothing is said of, and of containers that cannot be read. */
  unread: Problem[];
}

/**
 * What explanations have to say besides the declared set. Pure. `declaredOf`: ids of the containers that set is made of; undefined before there
 * is one.
 */
export function untoldOf(
  engines: readonly KnownEngine[],
  moment: Moment,
  declaredOf: ReadonlySet<string> | undefined,
): Untold {
  const untold: Untold = { withheld: new Map(), unread: [] };
  for (const engine of engines) {
    const { view, isNear } = engine;
    const label = moment.several ? engine.label : "";
    const withhold = (containers: readonly ContainerFacts[] = [], why: string): void => {
      for (const container of containers)
        untold.withheld.set({ container, engine: label, site: engine.site ?? nowhere, isNear }, why);
    };
    const standing = standingOf(engine, moment);
    if (standing.is === "said") {
      // Since then another engine is waited for, or no address is known.
      const newer = view.read?.containers.filter(({ id }) => declaredOf?.has(id) !== true);
      withhold(newer, `this agent has declared nothing${declaredOf === undefined ? "" : " of it"} yet`);
    } else {
      const what = `${standing.what}${standing.is === "waits" ? ", and is waited for" : ""}`;
      const problem = engineProblem(what, label, standing.fault);
      untold.unread.push(problem);
      withhold(view.read?.containers, problem.message);
    }
    withhold(view.read?.draining, "it was told to stop, until it runs anew");
    untold.unread.push(...(view.read?.problems ?? []));
  }
  return untold;
}

const nowhere = { addresses: [], local: false };
