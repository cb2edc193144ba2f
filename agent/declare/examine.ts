import type { ContainerFacts } from "../engine/facts.ts";
import { type HealthPlan, healthPlanOf } from "./health.ts";
import type { CheckState, DeclareRules, PlacedContainer, RelayState } from "./input.ts";
import type { LabelFault } from "./label-values.ts";
import { type Declaration, declarationFromLabels } from "./labels.ts";
import { familyChecks, type Naming, namesOfContainer, readingsOf } from "./names.ts";
import { type PortPlan, portPlanOf, sharesNetwork } from "./port-plan.ts";
import { displayPort, type ServicePort } from "./ports.ts";
import { selectedOut } from "./selectors.ts";

/** What is known of the world outside one container's facts. */
export interface Surroundings {
  relays: ReadonlyMap<string, RelayState>;
  checks: ReadonlyMap<string, CheckState>;
  isFlapping: boolean;
  /** The running container whose network it uses, with `container:ID`. */
  owner: ContainerFacts | undefined;
}

/** All that can be said of one container by itself: what it asks for, what it gets, and why. */
export interface Examination {
  /** Why nothing at all of it is declared, whatever its ports; undefined when that is not so. */
  leftOut: string | undefined;
  /** The operator's or its own choice, which is worth a note: a stopped container is not. */
  isChoice: boolean;
  declaration: Declaration;
  ports: PortPlan;
  naming: Naming;
  health: HealthPlan | undefined;
  /** `berth.http`, when there is such a port. */
  http: Declaration["http"];
  faults: LabelFault[];
  notes: string[];
}

/** Pure. A container that is left out is read no further than its labels. */
export function examine(placed: PlacedContainer, rules: DeclareRules, around: Surroundings): Examination {
  const { container } = placed;
  const { declaration, faults } = declarationFromLabels(container.labels, rules.zone);
  if (container.unread !== undefined) faults.unshift({ code: "too-long", message: container.unread });
  const left = leftOutBy(container, declaration, rules);
  if (left !== undefined) {
    const own = left.isOwn ? faults : [];
    return {
      ...nothing,
      leftOut: left.why,
      isChoice: left.isChoice,
      declaration,
      faults: own,
      http: undefined,
    };
  }
  const planned = portPlanOf({
    ...{ placed, declaration, rules, relays: around.relays, owner: around.owner },
    hinted: hintedPorts(container, rules, around.owner),
  });
  const ports = placed.fixedOnly === true ? onlyFixed(planned) : planned;
  faults.push(...ports.faults);
  const stays = { leftOut: undefined, isChoice: false, declaration, ports, faults, notes: [...ports.notes] };
  if (ports.ports.length === 0) {
    if (leadsNowhere(container, declaration, ports)) faults.push(unpublished(container, around.owner));
    return { ...stays, naming: noNames, health: undefined, http: undefined };
  }
  const naming = namesOfContainer(container, declaration.names, ports.ports, rules);
  faults.push(...naming.faults.map((message) => ({ code: "bad-name", message })));
  const health = healthPlanOf({
    ...{ placed, declaration, ports: ports.ports, familyChecks: familyChecks(naming) },
    ...{
      networkOwner: ports.networkOwner ?? container,
      states: around.checks,
      isFlapping: around.isFlapping,
    },
  });
  const http = httpOf(declaration, ports.ports);
  faults.push(...health.faults, ...http.faults, ...unknownTls(declaration, ports.ports));
  const notes = [...stays.notes, ...naming.readings.flatMap(({ reading }) => reading.notes), ...health.notes];
  return { ...stays, naming, health, http: http.value, notes };
}

const noNames: Naming = { names: [], faults: [], gaveNames: undefined, readings: [] };
const noPorts: PortPlan = { ports: [], relays: [], faults: [], notes: [], networkOwner: undefined };
const nothing = { ports: noPorts, naming: noNames, health: undefined, notes: [] };

/** Compose renames a container it is about to replace to `<12 hex digits>_<name>`; that name must never be seen. */
const composeTemporary = /^[0-9a-f]{12}_/;

/** `isOwn`: it is the container's own label that says so, and its labels' faults are to be told. */
function leftOutBy(
  container: ContainerFacts,
  { ignore }: Declaration,
  rules: DeclareRules,
): { why: string; isChoice: boolean; isOwn: boolean } | undefined {
  if (!container.running) return { why: `it ${idleWords(container)}`, isChoice: false, isOwn: false };
  if (container.compose?.oneoff === true)
    return {
      why: "it was made by docker compose run, and is no replica of its service",
      isChoice: true,
      isOwn: false,
    };
  if (composeTemporary.test(container.name))
    return { why: "Compose is replacing it: its name is a temporary one", isChoice: true, isOwn: false };
  const selected = selectedOut(container, rules);
  if (selected !== undefined) return { why: selected, isChoice: true, isOwn: false };
  return ignore ? { why: "it is ignored by label", isChoice: true, isOwn: true } : undefined;
}

/** How a container is that does not serve. */
export function idleWords({ paused, stopping, restarting }: ContainerFacts): string {
  if (paused === true) return "is paused";
  if (stopping === true) return "is being stopped";
  return restarting === true ? "is between two restarts" : "does not run";
}

/** What an engine chose itself, its next life gives to another container; a relay's port leads into this one's network alone. */
function onlyFixed(plan: PortPlan): PortPlan {
  const ports = plan.ports.filter(({ fixed }) => fixed);
  if (ports.length === plan.ports.length) return plan;
  return {
    ...plan,
    ports,
    notes: [...plan.notes, "its engine has ended, so ports chosen by that are not declared"],
  };
}

/** In the host's network other programs' port labels are the only ones there may be. Elsewhere they say nothing new. */
function hintedPorts(
  container: ContainerFacts,
  rules: DeclareRules,
  owner: ContainerFacts | undefined,
): number[] {
  if ((owner ?? container).networkMode !== "host") return [];
  const names = readingsOf(container, [], rules).flatMap(({ reading }) => reading.names);
  return [...new Set(names.flatMap(({ http }) => http ?? []))].toSorted((left, right) => left - right);
}

/** A relay still being opened is somewhere, and a fault already told is enough. */
function leadsNowhere({ ports }: ContainerFacts, { names }: Declaration, plan: PortPlan): boolean {
  return names !== undefined && ports.length === 0 && plan.relays.length === 0 && plan.faults.length === 0;
}

function unpublished(container: ContainerFacts, owner: ContainerFacts | undefined): LabelFault {
  const reason =
    (owner ?? container).networkMode === "host"
      ? "it uses the host's network, where Docker publishes no port; say its ports with berth.port, for example berth.port.80=80"
      : sharesNetwork(container)
        ? `it uses container ${owner?.name}'s network, which publishes none of the ports this one says it listens at; publish them there, and say them here with berth.port, for example berth.port.80=80`
        : "it publishes no port; publish one, for example with -p 80, or have it relayed with berth.publish=true";
  return { code: "no-port", message: `berth.name leads nowhere: ${reason}` };
}

/** `berth.http` must name a declared TCP port: a typing error would otherwise quietly take port 80 away. */
function httpOf(
  { http }: Declaration,
  ports: readonly ServicePort[],
): { value: Declaration["http"]; faults: LabelFault[] } {
  const tcp = new Set(ports.filter((port) => port.protocol === "tcp").map((port) => port.servicePort));
  if (http === undefined || http === "off" || tcp.has(http)) return { value: http, faults: [] };
  const there = [...tcp].toSorted((left, right) => left - right).join(", ") || "none";
  const message = `berth.http=${http}: the container publishes no TCP port ${http}; published ones: ${there}`;
  return { value: undefined, faults: [{ code: "bad-label", message }] };
}

function unknownTls({ tls }: Declaration, ports: readonly ServicePort[]): LabelFault[] {
  if (tls === "all") return [];
  const wrong = tls.filter((port) => !ports.some((own) => own.protocol === "tcp" && isTlsPort(own, port)));
  if (wrong.length === 0) return [];
  const there = [
    ...new Set(ports.map((port) => displayPort({ ...port, containerPort: port.servicePort }))),
  ].join(", ");
  const message = `berth.tls: the container publishes no TCP port ${wrong.join(", ")}; published ones: ${there}`;
  return [{ code: "bad-label", message }];
}

/** Whether the port is one of those that `berth.tls` names, as clients ask for it or as the container knows it. */
export function speaksTls({ tls }: Declaration, port: ServicePort): boolean {
  return port.protocol === "tcp" && (tls === "all" || tls.some((named) => isTlsPort(port, named)));
}

function isTlsPort({ servicePort, containerPort }: ServicePort, named: number): boolean {
  return servicePort === named || containerPort === named;
}
