import type { Problem } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { problemOf } from "../problem.ts";
import type { Site } from "../site.ts";
import { type Declaration, declarationFromLabels } from "./labels.ts";
import { namesOfContainer, type RuledName } from "./names.ts";
import { type ServicePort, servicePortsOf } from "./ports.ts";

/** One container's claims, before they are settled against the others'. */
export interface Offer {
  container: ContainerFacts;
  names: RuledName[];
  ports: ServicePort[];
  http: Declaration["http"];
}

/** What one container asks to be declared; `offer` is undefined when that is nothing. */
export function offerOf(
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
