import type { Binding, Problem } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";
import { displayName } from "../shared/name.ts";
import type { ContainerFacts } from "./facts.ts";
import { type Declaration, declarationFromLabels } from "./labels.ts";
import { namesOfContainer, type RuledName } from "./names.ts";
import { type ServicePort, servicePortsOf } from "./ports.ts";
import { problemOf } from "./problem.ts";
import type { Site } from "./site.ts";

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
  const problems: Problem[] = [];
  const notes: string[] = [];
  const offers: Offer[] = [];
  const offered = containers.filter(isOffered);
  for (const container of sortedBy(offered, ({ name, id }) => `${name} ${id}`)) {
    const { offer, ...found } = offerOf(container, site);
    problems.push(...found.problems);
    notes.push(...found.notes);
    if (offer !== undefined) offers.push(offer);
  }
  const settled = settleNames(offers);
  problems.push(...settled.problems);
  const bindings = sortedBy(settled.offers.flatMap(bindingsOf), canonicalBinding);
  return { bindings, problems: sortedBy(problems, problemText), notes };
}

/** One container's claims, before they are settled against the others'. */
interface Offer {
  container: ContainerFacts;
  names: RuledName[];
  ports: ServicePort[];
  http: Declaration["http"];
}

/** Compose renames a container it is about to replace to `<12 hex digits>_<name>`; that name must never be seen. */
const composeTemporary = /^[0-9a-f]{12}_/;

function isOffered(container: ContainerFacts): boolean {
  return container.running && container.compose?.oneoff !== true && !composeTemporary.test(container.name);
}

function offerOf(
  container: ContainerFacts,
  site: Site,
): { offer: Offer | undefined; problems: Problem[]; notes: string[] } {
  const { declaration, faults } = declarationFromLabels(container.labels, site.zone);
  const problems = faults.map(({ code, message }) => problemOf(container.name, code, message));
  if (declaration.ignore)
    return { offer: undefined, problems, notes: [`${container.name} is ignored by label`] };
  const reach = servicePortsOf(container.ports, site);
  problems.push(...reach.faults.map(({ code, message }) => problemOf(container.name, code, message)));
  const notes = reach.privatePorts.map((port) => `${container.name}: port ${port} is bound to loopback`);
  if (container.ports.length === 0 && declaration.names !== undefined) problems.push(unpublished(container));
  if (reach.ports.length === 0) return { offer: undefined, problems, notes };
  const named = namesOfContainer(container, declaration.names, site);
  problems.push(...named.faults.map((message) => problemOf(container.name, "bad-name", message)));
  const http = httpOf(declaration, reach.ports);
  if (http.fault !== undefined) problems.push(problemOf(container.name, "bad-label", http.fault));
  const offer = { container, names: named.names, ports: reach.ports, http: http.value };
  return { offer, problems, notes };
}

function unpublished(container: ContainerFacts): Problem {
  const { networkMode } = container;
  const reason =
    networkMode === "host"
      ? "it uses the host's network, where Docker publishes no port"
      : networkMode.startsWith("container:")
        ? "it uses another container's network; set the label on that container"
        : "it publishes no port; publish one, for example with -p 80";
  return problemOf(container.name, "no-port", `berth.name leads nowhere: ${reason}`);
}

/** `berth.http` must name a published TCP port: a typing error would otherwise quietly take port 80 away. */
function httpOf(
  declaration: Declaration,
  ports: readonly ServicePort[],
): { value: Declaration["http"]; fault?: string } {
  const { http } = declaration;
  const tcp = new Set(ports.filter((port) => port.protocol === "tcp").map((port) => port.servicePort));
  if (http === undefined || http === "off" || tcp.has(http)) return { value: http };
  const there = [...tcp].toSorted((left, right) => left - right).join(", ") || "none";
  const fault = `berth.http=${http}: the container publishes no TCP port ${http}; published ones: ${there}`;
  return { value: undefined, fault };
}

/**
 * A container's own name, and its name below the host, belong to one container. An explicit or a Compose name wins over it (two
 * containers may both answer for those); of two containers whose names become the same label, the smaller keeps it. Offers come sorted.
 */
function settleNames(offers: readonly Offer[]): { offers: Offer[]; problems: Problem[] } {
  const holders = new Map<string, string>();
  for (const { names, container } of offers) {
    for (const { name, rule } of names) if (isShared(rule)) holders.set(name, container.name);
  }
  const problems: Problem[] = [];
  const settled = offers.map((offer): Offer => {
    const own = offer.container.name;
    const names = offer.names.filter(({ name, rule }) => {
      if (isShared(rule)) return true;
      const holder = holders.get(name) ?? own;
      holders.set(name, holder);
      if (holder === own) return true;
      const message = `${displayName(name)} belongs to container ${holder} of this host; rename one of them`;
      problems.push(problemOf(own, "name-taken", message));
      return false;
    });
    return { ...offer, names };
  });
  return { offers: settled, problems };
}

function isShared(rule: RuledName["rule"]): boolean {
  return rule === "label" || rule === "compose";
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

function problemText(problem: Problem): string {
  return JSON.stringify([problem.container, problem.code, problem.message]);
}

/** By code units, as the digest sorts: the same on every machine, whatever its locale. Each text is made once, not at each comparison. */
function sortedBy<T>(values: readonly T[], textOf: (value: T) => string): T[] {
  const keyed = values.map((value) => ({ value, text: textOf(value) }));
  keyed.sort((left, right) => (left.text < right.text ? -1 : left.text > right.text ? 1 : 0));
  return keyed.map(({ value }) => value);
}
