import type { Binding, Problem } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { Site } from "../site.ts";
import { declare } from "./declare.ts";
import { defaultRules } from "./default-rules.ts";

export interface DeclaredBindings {
  bindings: Binding[];
  problems: Problem[];
  /** What is left out on purpose, for whoever looks for it. */
  notes: string[];
}

/** What the containers of one engine on this machine declare by the default rules, with no relay open and no check made. */
export function bindingsFromContainers(containers: readonly ContainerFacts[], site: Site): DeclaredBindings {
  const placed = containers.map((container) => ({ container, engine: "", site, isNear: true }));
  const none = { services: [], relays: new Map(), checks: new Map(), flapping: new Set<string>() };
  const { bindings, problems, notes } = declare({ containers: placed, site, ...none }, defaultRules(site));
  return { bindings, problems, notes };
}
