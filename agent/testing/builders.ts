import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import { defaultRules } from "../declare/default-rules.ts";
import type { DeclareInput, DeclareRules, PlacedContainer } from "../declare/input.ts";
import type { ContainerFacts, ContainerNetwork, ExposedPort, PublishedPort } from "../engine/facts.ts";
import type { Site } from "../site.ts";

export const zone = "berth.internal." as Name;

export function siteOf(...addresses: string[]): Site {
  const shown = addresses.length === 0 ? ["10.0.0.5", "fd00::5"] : addresses;
  return { zone, hostLabel: "alpha", addresses: shown as Address[], local: false };
}

/** One engine on this machine, no relay open, no check made. */
export function inputOf(
  containers: readonly ContainerFacts[],
  given: Partial<DeclareInput> = {},
): DeclareInput {
  const site = given.site ?? siteOf();
  return {
    containers: containers.map((container) => placedOf(container, { site })),
    site,
    services: [],
    relays: new Map(),
    checks: new Map(),
    flapping: new Set(),
    ...given,
  };
}

export function placedOf(container: ContainerFacts, given: Partial<PlacedContainer> = {}): PlacedContainer {
  return { container, engine: "", site: siteOf(), isNear: true, ...given };
}

export function rulesOf(given: Partial<DeclareRules> = {}): DeclareRules {
  return { ...defaultRules(siteOf()), ...given };
}

export function containerOf(name: string, given: Partial<ContainerFacts> = {}): ContainerFacts {
  return {
    id: name.padEnd(64, "0"),
    name,
    image: "nginx:1.27",
    labels: {},
    env: {},
    unread: undefined,
    running: true,
    startedAt: "2026-11-22T10:00:00Z",
    stopSignal: "SIGTERM",
    health: "none",
    networkMode: "default",
    ports: published(80, 32768),
    exposed: [],
    networks: [],
    compose: undefined,
    isSwarmTask: false,
    ...given,
  };
}

/** What `-p 80` gives: one entry for each address family. */
export function published(
  containerPort: number,
  hostPort: number,
  given: Partial<PublishedPort> = {},
): PublishedPort[] {
  const entry = { protocol: "tcp" as const, containerPort, hostPort, fixed: false };
  return [
    { ...entry, hostIp: "0.0.0.0", ...given },
    { ...entry, hostIp: "::", ...given },
  ];
}

export function portOf(containerPort: number, given: Partial<PublishedPort> = {}): PublishedPort {
  return { protocol: "tcp", containerPort, hostIp: "0.0.0.0", hostPort: 32768, fixed: false, ...given };
}

/** `EXPOSE 80 53/udp`. */
export function exposedOf(...texts: string[]): ExposedPort[] {
  return texts.map((text) => {
    const [port, protocol = "tcp"] = text.split("/");
    return { containerPort: Number(port), protocol: protocol as ExposedPort["protocol"] };
  });
}

export function networkOf(name: string, ...addresses: string[]): ContainerNetwork {
  return { name, addresses: addresses as Address[] };
}

export interface InspectParts {
  state?: Record<string, unknown>;
  labels?: Record<string, string> | null;
  asked?: Record<string, unknown>;
  ports?: Record<string, unknown>;
  networkMode?: string;
  /** More of what stands in Config. */
  config?: Record<string, unknown>;
  image?: string;
  networks?: Record<string, unknown>;
}

/** The part of an inspect answer that matters, as Docker 20.10 shapes it. */
export function inspectOf(name: string, parts: InspectParts = {}): Record<string, unknown> {
  const wildcard = (port: string) => [
    { HostIp: "0.0.0.0", HostPort: port },
    { HostIp: "::", HostPort: port },
  ];
  return {
    Id: name.padEnd(64, "0"),
    Name: `/${name}`,
    State: {
      Running: true,
      Paused: false,
      Restarting: false,
      StartedAt: "2026-11-22T10:00:00Z",
      ...parts.state,
    },
    Image: parts.image ?? "",
    Config: { Labels: parts.labels ?? {}, ...parts.config },
    HostConfig: {
      NetworkMode: parts.networkMode ?? "default",
      PortBindings: parts.asked ?? { "80/tcp": [{ HostIp: "", HostPort: "" }] },
    },
    NetworkSettings: {
      Ports: parts.ports ?? { "80/tcp": wildcard("32768") },
      Networks: parts.networks ?? {},
    },
  };
}
