import { formatEndpoint } from "../../shared/address.ts";
import type { Binding, Problem } from "../../shared/binding.ts";
import { displayName, isInZone, type Name, nameBelow, parentOf, parseName } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { declare, inOrder } from "./declare.ts";
import { explainContainer } from "./explain-container.ts";
import { factsLines } from "./explain-facts.ts";
import { healthWords } from "./explain-ports.ts";
import { explainService, servicesCalled } from "./explain-service.ts";
import type { DeclareInput, DeclareOutcome, DeclareRules, PlacedContainer } from "./input.ts";
import { instanceOf } from "./instance.ts";
import { declarationFromLabels } from "./labels.ts";
import { namesOfContainer } from "./names.ts";
import type { ServicePort } from "./ports.ts";

/** More is no longer an explanation. */
const mostContainers = 10;
const mostLines = 2_000;
const longestLine = 500;

/** What the set is declared of, and what is known besides. */
export interface ExplainInput extends DeclareInput {
  /** Containers that are not among those declared of, and why not. */
  withheld?: ReadonlyMap<PlacedContainer, string>;
  /** What could not be read: engines, which are no container's problem, single containers, and files of services. */
  unread?: readonly Problem[];
}

/**
 * Why a container, given by its name or the beginning of its id, is declared as it is, or who has a name: in lines for a person to read,
 * free of control characters. `what` may be a name in or below the zone, with the zone or without it. Undefined when nothing here is called
 * that, and nothing is unread that might be. Values of labels and variables are shown only where a rule reads them: others may be secrets.
 */
export function explain(input: ExplainInput, rules: DeclareRules, what: string): string[] | undefined {
  const outcome = declare(input, rules);
  const named = bindingsCalled(outcome, rules.zone, what);
  const { withheld = new Map<PlacedContainer, string>(), unread = [] } = input;
  const all = inOrder([...input.containers, ...withheld.keys()]);
  const called = all.filter((placed) => isCalled(placed, what));
  const services = servicesCalled(input, what.trim(), zoneName(what.trim(), rules.zone));
  const containers = called.length > 0 ? called : concernedBy(all, rules, what, named);
  const isKnown = containers.length > 0 || named.length > 0 || services.length > 0;
  if (!isKnown && unread.length === 0) return undefined;
  const shown = containers.slice(0, mostContainers);
  const others = containers.length - shown.length;
  // No push(...lines): a container's ports alone can be more lines than a call takes arguments.
  const lines = [
    ...explainNames(named, outcome, input.refusals),
    ...shown.flatMap((placed) => {
      const why = withheld.get(placed);
      if (why === undefined) return explainContainer(placed, input, rules, outcome);
      return [...factsLines(placed, rules), `  nothing of it is declared: ${why}`];
    }),
    ...(others > 0 ? [`${others} more containers are called that; give more of the id`] : []),
    ...services.flatMap((service) => explainService(service, input)),
    ...unreadLines(unread, what, isKnown),
  ];
  return lines.slice(0, mostLines).map(cleanLine);
}

/** Whatever is called so may be a container that could not be read, or have replicas on an engine that was not. */
function unreadLines(unread: readonly Problem[], what: string, isKnown: boolean): string[] {
  const word = containerName(what);
  const isMet = isKnown || (word !== "" && unread.some(({ container }) => container === word));
  const shown = isMet ? unread.filter(({ container }) => container === "" || container === word) : unread;
  const lines = shown.slice(0, mostContainers).map(({ container, code, message }) => {
    const of = container === "" ? "" : ` of ${container}`;
    return `problem ${code}${of}: ${message}`;
  });
  const others = shown.length - lines.length;
  if (others > 0)
    lines.push(
      `${others} more problems are left out here; give the name of a container or a file to see its own`,
    );
  if (isMet) return lines;
  return [`nothing that could be read is called ${what.trim()}, and not everything could be read:`, ...lines];
}

function containerName(what: string): string {
  return what.trim().replace(/^\//, "");
}

function isCalled({ container }: PlacedContainer, what: string): boolean {
  const word = containerName(what);
  return (
    container.name === word || (/^[0-9a-f]{4,64}$/i.test(word) && container.id.startsWith(word.toLowerCase()))
  );
}

/** Those that have the name, and those that would if only they ran, or published a port: whoever asks may wonder where one is. */
function concernedBy(
  ordered: readonly PlacedContainer[],
  rules: DeclareRules,
  what: string,
  named: readonly Binding[],
): PlacedContainer[] {
  const name = zoneName(what.trim(), rules.zone);
  if (name === undefined) return [];
  const behind = new Set(named.map(({ instance }) => instance));
  return ordered.filter(({ container }) => {
    if (behind.has(instanceOf(container))) return true;
    const { declaration } = declarationFromLabels(container.labels, rules.zone);
    const { names } = namesOfContainer(container, declaration.names, portsOnPaper(container), rules);
    return names.some((ruled) => ruled.name === name);
  });
}

/** As if all it EXPOSEs and publishes could be reached: some families name single ports. */
function portsOnPaper({ ports, exposed }: ContainerFacts): ServicePort[] {
  return [...ports, ...exposed].flatMap(({ protocol, containerPort }): ServicePort[] => {
    if (protocol === "sctp") return [];
    return [
      {
        protocol,
        containerPort,
        servicePort: containerPort,
        addresses: [],
        port: containerPort,
        fixed: false,
      },
    ];
  });
}

/** The bindings of the name itself, else of the name it is below of (`_80._tcp.web`), else of the names below it. */
function bindingsCalled({ bindings }: DeclareOutcome, zone: Name, what: string): Binding[] {
  const name = zoneName(what.trim(), zone);
  if (name === undefined) return [];
  for (
    let at: Name | undefined = name;
    at !== undefined && at !== zone && isInZone(at, zone);
    at = parentOf(at)
  ) {
    const own = bindings.filter((binding) => binding.name === at);
    if (own.length > 0) return own;
    const below = at === name ? bindings.filter((binding) => isInZone(binding.name, name)) : [];
    if (below.length > 0) return below;
    // Only the names of ports stand below a name without being declared.
    if (at[0] !== "_") return [];
  }
  return [];
}

function zoneName(what: string, zone: Name): Name | undefined {
  try {
    const plain = parseName(what);
    return isInZone(plain, zone) ? plain : nameBelow(plain.slice(0, -1), zone);
  } catch {
    return undefined;
  }
}

function explainNames(
  bindings: readonly Binding[],
  { problems }: DeclareOutcome,
  refusals: DeclareInput["refusals"],
): string[] {
  const lines: string[] = [];
  for (const [name, own] of Map.groupBy(bindings, (binding) => binding.name)) {
    const shown = displayName(name);
    lines.push(`name ${shown}`);
    const refusal = refusals?.get(name);
    if (refusal !== undefined)
      lines.push(`  not this host's: the resolver does not grant it, because ${refusal}`);
    for (const { rule, container, servicePort, protocol, addresses, port, health } of own) {
      const where = addresses.map((address) => formatEndpoint({ address, port })).join(", ");
      lines.push(
        `  ${servicePort}/${protocol} of ${container} (by ${rule}) at ${where}, ${healthWords(health)}`,
      );
    }
    const lost = `${shown} belongs`;
    const losers = problems.filter(
      ({ code, message }) =>
        code === "name-taken" && (message.startsWith(lost) || message.includes(`: ${lost}`)),
    );
    lines.push(...losers.map(({ container, message }) => `  not of ${container}: ${message}`));
  }
  return lines;
}

function cleanLine(line: string): string {
  const clean = line.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ").trimEnd();
  return clean.length <= longestLine ? clean : `${clean.slice(0, longestLine - 3)}...`;
}
