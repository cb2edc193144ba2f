import type { ContainerFacts } from "../engine/facts.ts";
import { arrivalOf, type SiteAddresses } from "../site.ts";
import { askedPorts, type PortQuestion } from "./asked-ports.ts";
import { dialAddressOf } from "./dial-address.ts";
import type { WantedRelay } from "./input.ts";
import { instanceOf } from "./instance.ts";
import { displayPort, type PortFault, type PortKey, type ServicePort } from "./ports.ts";

/** More open ports for one container is no wish but an image that EXPOSEs a range. */
const mostRelays = 64;

export interface RelayPlan {
  relays: WantedRelay[];
  /** The ports of the relays that are open. */
  ports: ServicePort[];
  /** Wanted, and neither open nor failed yet: `80/tcp`. */
  pending: ReadonlySet<string>;
  faults: PortFault[];
}

/** The relays for those ports of a container that are not among `published`. `networkOwner` is where they lead. */
export function relaysFor(
  question: PortQuestion,
  networkOwner: ContainerFacts,
  published: ReadonlySet<string>,
): RelayPlan {
  const plan = { relays: [] as WantedRelay[], ports: [] as ServicePort[], pending: new Set<string>() };
  const { wanted, faults } = wantedPorts(question, published);
  if (wanted.length === 0) return { ...plan, faults };
  const { placed, declaration, relays, rules } = question;
  if (!rules.mayRelay) return { ...plan, faults: [...faults, switchedOff(wanted)] };
  if (!placed.isNear) return { ...plan, faults: [...faults, tooFar(wanted)] };
  const dial = dialAddressOf(networkOwner, declaration.network);
  if (dial.address === undefined) {
    // Nobody asked for this container in particular: one without a network, say, is meant to be by itself.
    const isAsked = declaration.publish !== undefined || declaration.network !== undefined;
    return { ...plan, faults: isAsked ? [...faults, noAddress(wanted, dial.fault)] : faults };
  }
  for (const key of wanted) {
    const relay = relayOf(question, key, dial.address);
    plan.relays.push(relay);
    const state = relays.get(relay.key);
    if (state === undefined) plan.pending.add(displayPort(key));
    else if (state.kind === "failed") faults.push(failed(key, state.fault));
    else plan.ports.push(openPort(key, placed.site, state.port));
  }
  return { ...plan, faults };
}

/** Ports asked for one by one need no EXPOSE. What is published, even to loopback alone, was somebody's choice and stays it. */
function wantedPorts(
  { placed, declaration, rules }: PortQuestion,
  published: ReadonlySet<string>,
): { wanted: PortKey[]; faults: PortFault[] } {
  const publish = declaration.publish ?? rules.publishUnpublished;
  if (publish === false) return { wanted: [], faults: [] };
  const asked = publish === true ? askedPorts(placed.container, declaration) : publish;
  if (asked.length === 0 && declaration.publish === true && published.size === 0) {
    const message =
      "berth.publish=true: the container EXPOSEs no port; name the ports, for example berth.publish=8080";
    return { wanted: [], faults: [{ code: "no-port", message }] };
  }
  const unique = new Map(asked.map((key) => [displayPort(key), key]));
  const open = [...unique.values()].filter((key) => !published.has(displayPort(key)));
  if (open.length <= mostRelays) return { wanted: open, faults: [] };
  const message = `${open.length} of its ports would be relayed, and a container may have ${mostRelays} relays; name the ports it needs, for example berth.publish=8080`;
  return { wanted: open.slice(0, mostRelays), faults: [{ code: "too-many", message }] };
}

function relayOf(
  { placed }: PortQuestion,
  key: PortKey,
  address: WantedRelay["target"]["address"],
): WantedRelay {
  const { container, engine, site } = placed;
  return {
    // By name, which outlives the container's runs; ids do not.
    key: `${engine}/${container.name}/${displayPort(key)}`,
    container: container.name,
    run: instanceOf(container),
    protocol: key.protocol,
    listen: [...new Set(site.addresses.map((address) => arrivalOf(site, address)))].toSorted(),
    target: { address, port: key.containerPort },
  };
}

/** Open only while the agent runs, so never fixed. */
function openPort({ protocol, containerPort }: PortKey, site: SiteAddresses, port: number): ServicePort {
  const addresses = [...site.addresses].toSorted();
  return { protocol, containerPort, servicePort: containerPort, addresses, port, fixed: false };
}

function switchedOff(wanted: readonly PortKey[]): PortFault {
  const message = `${shown(wanted)} cannot be relayed: this agent runs with --relay-ports off; publish what others are to reach, for example with -p`;
  return { code: "not-relayed", message };
}

function tooFar(wanted: readonly PortKey[]): PortFault {
  const ports = shown(wanted);
  const message = `${ports} cannot be relayed: this machine does not reach the addresses of this engine's containers; publish the port, for example with -p`;
  return { code: "not-relayed", message };
}

function noAddress(wanted: readonly PortKey[], fault: string): PortFault {
  return { code: "not-relayed", message: `${shown(wanted)} cannot be relayed: ${fault}` };
}

function failed(key: PortKey, fault: string): PortFault {
  return { code: "not-relayed", message: `port ${displayPort(key)} is not relayed: ${fault}` };
}

function shown(wanted: readonly PortKey[]): string {
  const first = wanted.slice(0, 5).map(displayPort).join(", ");
  const others = wanted.length > 5 ? ` and ${wanted.length - 5} more` : "";
  return `port${wanted.length === 1 ? "" : "s"} ${first}${others}`;
}
