import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import type { ContainerFacts, PublishedPort } from "../engine/facts.ts";
import type { Site } from "../site.ts";

export const zone = "berth.internal." as Name;

export function siteOf(...addresses: string[]): Site {
  const shown = addresses.length === 0 ? ["10.0.0.5", "fd00::5"] : addresses;
  return { zone, hostLabel: "alpha", addresses: shown as Address[], local: false };
}

export function containerOf(name: string, given: Partial<ContainerFacts> = {}): ContainerFacts {
  return {
    id: name.padEnd(64, "0"),
    name,
    labels: {},
    running: true,
    startedAt: "2026-11-22T10:00:00Z",
    health: "none",
    networkMode: "default",
    ports: published(80, 32768),
    compose: undefined,
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

export interface InspectParts {
  state?: Record<string, unknown>;
  labels?: Record<string, string> | null;
  asked?: Record<string, unknown>;
  ports?: Record<string, unknown>;
  networkMode?: string;
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
    Config: { Labels: parts.labels ?? {} },
    HostConfig: {
      NetworkMode: parts.networkMode ?? "default",
      PortBindings: parts.asked ?? { "80/tcp": [{ HostIp: "", HostPort: "" }] },
    },
    NetworkSettings: { Ports: parts.ports ?? { "80/tcp": wildcard("32768") } },
  };
}
