import type { ContainerFacts } from "../engine/facts.ts";
import { askedPorts, type PortQuestion } from "./asked-ports.ts";
import type { WantedRelay } from "./input.ts";
import { underAliases } from "./port-aliases.ts";
import { displayPort, type PortFault, type PortKey, type ServicePort, servicePortsOf } from "./ports.ts";
import { relaysFor } from "./relays.ts";

/** Where a container's ports are open, and what has to be done for those that are not. */
export interface PortPlan {
  ports: ServicePort[];
  relays: WantedRelay[];
  faults: PortFault[];
  notes: string[];
  /** The container whose network it is: itself, unless it shares another's; undefined when that one is not there. */
  networkOwner: ContainerFacts | undefined;
}

/** A container may have as many bindings, and each of its ports is in one at least. */
const mostPorts = 2_000;
/** As an engine tells them: IPv4's and IPv6's apart. */
const mostEntries = 4 * mostPorts;

/** Pure: the same container, labels and relays give the same plan. With more ports than a container may have there are none. */
export function portPlanOf(question: PortQuestion): PortPlan {
  const { ports, exposed } = question.owner ?? question.placed.container;
  if (ports.length > mostEntries) return tooMany(ports.length / 2);
  const plan = planOf(question);
  return plan.ports.length > mostPorts ? tooMany(Math.max(plan.ports.length, exposed.length)) : plan;
}

function tooMany(count: number): PortPlan {
  const message = `it has ${Math.ceil(count)} ports, and a container may have ${mostPorts}; say the ones to declare with berth.port, or publish fewer`;
  return { ...nothing, faults: [{ code: "too-many", message }], networkOwner: undefined };
}

function planOf(question: PortQuestion): PortPlan {
  const { placed, declaration, owner } = question;
  const { container } = placed;
  if (sharesNetwork(container) && owner === undefined) return ownerless(question);
  if (owner !== undefined && isLeftBehind(container, owner)) return leftBehind(owner);
  const networkOwner = owner ?? container;
  if (networkOwner.networkMode === "host") return onHost(question, networkOwner);
  if (container.isSwarmTask && networkOwner.ports.length === 0)
    return unpublishedTask(question, networkOwner);
  const own = new Set(askedPorts(container, declaration).map(displayPort));
  const published =
    owner === undefined ? container.ports : owner.ports.filter((entry) => own.has(displayPort(entry)));
  const reach = servicePortsOf(published, placed.site);
  const relayed = relaysFor(question, networkOwner, new Set(networkOwner.ports.map(displayPort)));
  const aliased = underAliases([...reach.ports, ...relayed.ports], declaration.aliases, relayed.pending);
  return {
    ports: aliased.ports,
    relays: relayed.relays,
    faults: [...reach.faults, ...relayed.faults, ...aliased.faults],
    notes: [...reach.privatePorts.map((port) => `port ${port} is bound to loopback`), ...aliased.notes],
    networkOwner,
  };
}

export function sharesNetwork({ networkMode }: ContainerFacts): boolean {
  return networkMode.startsWith("container:");
}

/** In the host's network a container's ports are the host's own, chosen by whoever wrote the program. */
function onHost({ placed, declaration, hinted }: PortQuestion, networkOwner: ContainerFacts): PortPlan {
  const { container, site } = placed;
  const named = declaration.aliases.length > 0 ? declaration.aliases : askedPorts(container, declaration);
  const hints = hinted.map((containerPort): PortKey => ({ protocol: "tcp", containerPort }));
  const keys = new Map((named.length > 0 ? named : hints).map((key) => [displayPort(key), key]));
  const ports = [...keys.values()].map(({ protocol, containerPort }): ServicePort => {
    const addresses = [...site.addresses].toSorted();
    return {
      protocol,
      containerPort,
      servicePort: containerPort,
      addresses,
      port: containerPort,
      fixed: true,
    };
  });
  const { ports: all, faults, notes } = underAliases(ports, declaration.aliases, new Set());
  return { ports: all, relays: [], faults, notes, networkOwner };
}

/** A fault only for one that wants to be reached: the owner may just be on its way out, and this one behind it. */
function ownerless({ placed, declaration }: PortQuestion): PortPlan {
  const id = placed.container.networkMode.slice("container:".length).slice(0, 12);
  const message = `its network is that of container ${id}, which does not run on this engine; start that one first, then this one again`;
  const isWanted = declaration.names !== undefined || declaration.aliases.length > 0;
  const told = isWanted ? { faults: [{ code: "no-port", message }] } : { faults: [], notes: [message] };
  return { ...nothing, ...told, networkOwner: undefined };
}

/** A restart gives the owner a new network; who had joined the old one stays in that, where nothing is published any more. */
function isLeftBehind(guest: ContainerFacts, owner: ContainerFacts): boolean {
  return owner.networkMode !== "host" && Date.parse(owner.startedAt) > Date.parse(guest.startedAt);
}

function leftBehind(owner: ContainerFacts): PortPlan {
  const message = `container ${owner.name}, whose network it uses, was started anew since, and this one is still in the network of before; restart this one too`;
  return { ...nothing, faults: [{ code: "no-port", message }], networkOwner: undefined };
}

const nothing = { ports: [], relays: [], notes: [] };

/** Swarm's routing mesh publishes a service's ports at the service, on every node: what this engine says of the task has none of them. */
function unpublishedTask({ placed, declaration }: PortQuestion, networkOwner: ContainerFacts): PortPlan {
  const { container } = placed;
  const isWanted = container.exposed.length > 0 || declaration.names !== undefined;
  // Many tasks only work for others, and nobody has anything to mend about them.
  if (!isWanted) return { ...nothing, faults: [], networkOwner };
  const message =
    "it is a task of a Swarm service whose ports this engine does not publish itself; publish them with mode=host (--publish mode=host,target=80), so that each task has a port of its own";
  return { ...nothing, faults: [{ code: "swarm-task", message }], networkOwner };
}
