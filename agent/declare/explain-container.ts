import { displayName } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { type Examination, examine } from "./examine.ts";
import { factsLines } from "./explain-facts.ts";
import { checkLines, portLines, relayLines } from "./explain-ports.ts";
import { namingFamilies } from "./families.ts";
import type { DeclareInput, DeclareOutcome, DeclareRules, PlacedContainer } from "./input.ts";
import { instanceOf } from "./instance.ts";
import type { RuledName } from "./names.ts";
import { networkOwners } from "./network-owners.ts";
import { displaySelector } from "./selectors.ts";

/** Everything about one container, as `examine` and the settled set know it. */
export function explainContainer(
  placed: PlacedContainer,
  input: DeclareInput,
  rules: DeclareRules,
  outcome: DeclareOutcome,
): string[] {
  const { container } = placed;
  const isFlapping = input.flapping.has(container.id);
  const owner = networkOwners(input.containers)(placed);
  const examined = examine(placed, rules, { relays: input.relays, checks: input.checks, isFlapping, owner });
  const problems = outcome.problems.filter((problem) => problem.container === container.name);
  return [
    ...factsLines(placed, rules),
    ...(examined.leftOut === undefined ? [] : [`  nothing of it is declared: ${examined.leftOut}`]),
    ...selectorLines(rules, examined),
    ...(examined.leftOut === undefined ? declaredLines(placed, examined, input, outcome, rules) : []),
    ...(isFlapping
      ? ["  damping: it restarts or changes its health too often, so it is declared unhealthy"]
      : ["  damping: steady"]),
    ...problems.map(({ code, message }) => `  problem ${code}: ${message}`),
    ...examined.notes.map((note) => `  note: ${note}`),
  ];
}

function declaredLines(
  placed: PlacedContainer,
  examined: Examination,
  input: DeclareInput,
  outcome: DeclareOutcome,
  rules: DeclareRules,
): string[] {
  return [
    ...portLines(placed.container, examined),
    ...relayLines(examined, input),
    ...nameLines(placed.container, examined, outcome, input.refusals),
    ...familyLines(examined, rules),
    ...checkLines(placed.container, examined, input),
  ];
}

function selectorLines({ only, except }: DeclareRules, { leftOut }: Examination): string[] {
  const all = [
    ...only.map((selector) => `--only ${displaySelector(selector)}`),
    ...except.map((selector) => `--except ${displaySelector(selector)}`),
  ];
  if (all.length === 0) return [];
  return [`  selectors: ${all.join(" ")}${leftOut === undefined ? " let it in" : ""}`];
}

function nameLines(
  container: ContainerFacts,
  { naming, ports }: Examination,
  { bindings }: DeclareOutcome,
  refusals: DeclareInput["refusals"],
): string[] {
  if (ports.ports.length === 0) return ["  no names: none of its ports can be reached"];
  const instance = instanceOf(container);
  const own = bindings.filter((binding) => binding.instance === instance);
  const granted = new Set(own.map(({ name }) => name));
  return naming.names.map((name) => {
    const refusal = refusals?.get(name.name);
    const refused = refusal === undefined ? "" : `; the resolver does not grant it: ${refusal}`;
    const is = granted.has(name.name) ? refused : "; it does not get it, see the problems";
    return `  name ${displayName(name.name)}: ${reasonOf(name, naming.gaveNames)}${is}`;
  });
}

function reasonOf({ rule, ports, http }: RuledName, gaveNames: string | undefined): string {
  const of = ports === undefined ? "" : `, for container port ${[...ports].join(", ")}`;
  const port80 = http === undefined ? "" : `, container port ${http} stands in for 80`;
  if (rule === "host") return "every container has it below its host";
  const by = rule === "label" ? `by ${gaveNames}` : `by the name template's ${gaveNames}`;
  return `${by}${of}${port80}`;
}

/** Why each family gave a name or none. */
function familyLines({ naming, ports }: Examination, { families }: DeclareRules): string[] {
  if (ports.ports.length === 0) return [];
  const first = naming.gaveNames;
  return namingFamilies.map(({ family }) => {
    const said = naming.readings.find((one) => one.family === family)?.reading;
    if (!families.has(family) || said === undefined) return `  ${family}: switched off with --families`;
    if (said.ignored !== undefined) return `  ${family}: gives no name, because ${said.ignored}`;
    if (said.names.length === 0)
      return `  ${family}: gives no name${said.notes.length > 0 ? ", see the notes" : ""}`;
    const names = said.names.map(({ name }) => displayName(name)).join(", ");
    return first === family
      ? `  ${family}: gives ${names}`
      : `  ${family}: would give ${names}, but ${first} comes first`;
  });
}
