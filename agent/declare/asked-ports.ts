import type { ContainerFacts } from "../engine/facts.ts";
import type { DeclareRules, PlacedContainer, RelayState } from "./input.ts";
import type { Declaration } from "./labels.ts";
import { displayPort, type PortKey } from "./ports.ts";

export interface PortQuestion {
  placed: PlacedContainer;
  declaration: Declaration;
  rules: Pick<DeclareRules, "publishUnpublished" | "mayRelay">;
  relays: ReadonlyMap<string, RelayState>;
  /** The running container whose network this one uses, with `container:ID`. */
  owner: ContainerFacts | undefined;
  /** TCP ports that other programs' labels lead to: a container in the host's network may say nothing else of its ports. */
  hinted: readonly number[];
}

/** The ports a container says it listens at: those EXPOSEd, and those its own labels lead to. SCTP is left out. */
export function askedPorts(container: ContainerFacts, { aliases }: Declaration): PortKey[] {
  const asked = new Map<string, PortKey>();
  for (const { protocol, containerPort } of container.exposed)
    if (protocol !== "sctp") asked.set(displayPort({ protocol, containerPort }), { protocol, containerPort });
  for (const { protocol, containerPort } of aliases)
    asked.set(displayPort({ protocol, containerPort }), { protocol, containerPort });
  return [...asked.values()];
}
