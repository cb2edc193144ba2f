import type { AgentStatus, EngineStatus, ResolverStatus } from "../status/agent-status.ts";

/** A healthy agent's status, but for what is given. */
export function statusWith(given: Partial<AgentStatus> = {}): AgentStatus {
  return {
    version: "0.1.0",
    uptime: 3600,
    hostId: "a".repeat(52),
    hostLabel: { declared: "nas", granted: "nas" },
    addresses: ["10.0.0.5", "fd00::5"],
    engines: [engineWith()],
    resolver: resolverWith(),
    bindings: 12,
    problems: [],
    notes: 0,
    relays: [],
    checks: [],
    flapping: [],
    services: [],
    ...given,
  };
}

export function engineWith(given: Partial<EngineStatus> = {}): EngineStatus {
  return {
    ...{ label: "docker", where: "unix:///run/docker.sock", kind: "docker", version: "20.10.24", up: true },
    ...{ lastReadAgo: 2.5, containers: 4, passes: 9, events: 30, draining: 0 },
    ...given,
  };
}

export function resolverWith(given: Partial<ResolverStatus> = {}): ResolverStatus {
  return {
    ...{ url: "https://resolver.example", up: true, lastSyncAgo: 1.5, lease: 15, leaseRemaining: 13.5 },
    ...{ link: true, pushes: 3, renewals: 200, refused: [] },
    ...given,
  };
}
