import type { NameRule } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import { displayName, labelFromText, type Name, nameBelow } from "../../shared/name.ts";
import { nameRefusal } from "../../shared/reserved.ts";
import type { ContainerFacts } from "../engine/facts.ts";

export interface RuledName {
  name: Name;
  rule: NameRule;
}

/**
 * The names of one container and the rule that gave each: those `berth.name` declares, else Compose's `service.project`, else the
 * container's own name; and always `<container>.<host>.host.<zone>`. `faults` says which of them cannot be had, and why.
 */
export function namesOfContainer(
  container: Pick<ContainerFacts, "name" | "compose">,
  declared: readonly Name[] | undefined,
  site: { zone: Name; hostLabel: string },
): { names: RuledName[]; faults: string[] } {
  const names = (declared ?? []).map((name): RuledName => ({ name, rule: "label" }));
  const faults = new Set<string>();
  for (const { rule, texts, below } of wantedNames(container, declared !== undefined, site.hostLabel)) {
    const labels = texts.map(labelFromText);
    const bad = texts.find((_, index) => labels[index] === undefined);
    if (bad !== undefined) {
      faults.add(
        `"${bad}" gives no DNS label: one has 1 to 63 letters, digits and hyphens; rename it, or set berth.name`,
      );
      continue;
    }
    try {
      const name = nameBelow([...labels, ...below].join("."), site.zone);
      const fault = rule === "host" ? undefined : nameRefusal(name, site.zone)?.message;
      if (fault === undefined) names.push({ name, rule });
      else faults.add(`${displayName(name)}: ${fault}; rename it, or set berth.name`);
    } catch (fault) {
      faults.add(describeFault(fault));
    }
  }
  return { names, faults: [...faults] };
}

interface WantedName {
  rule: NameRule;
  /** Engine names, to be made into one label each. */
  texts: string[];
  /** Labels that stand already. */
  below: string[];
}

function wantedNames(
  container: Pick<ContainerFacts, "name" | "compose">,
  isDeclared: boolean,
  hostLabel: string,
): WantedName[] {
  const host: WantedName = { rule: "host", texts: [container.name], below: [hostLabel, "host"] };
  if (isDeclared) return [host];
  const { compose } = container;
  if (compose === undefined) return [{ rule: "container", texts: [container.name], below: [] }, host];
  return [{ rule: "compose", texts: [compose.service, compose.project], below: [] }, host];
}
