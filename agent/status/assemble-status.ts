import { type Address, formatEndpoint } from "../../shared/address.ts";
import type { Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import { displayName } from "../../shared/name.ts";
import type { CheckState, DeclaredService, RelayState, WantedCheck, WantedRelay } from "../declare/input.ts";
import type { EngineView } from "../engine/engine-view.ts";
import type { EngineCounters } from "../engine/engine-watch.ts";
import type { LeaseState } from "../lease/standing.ts";
import { noTraffic, type RelayCounters } from "../relay/open-relay.ts";
import type { AgentStatus, EngineStatus, ResolverStatus } from "./agent-status.ts";

/** What the agent's parts know of themselves. Moments are the agent's clock's, in milliseconds. */
export interface StatusParts {
  version: string;
  startedAt: number;
  hostId: string;
  declaredLabel: string;
  addresses: readonly Address[];
  addressFault: string | undefined;
  engines: readonly EnginePart[];
  lease: LeaseState;
  /** Of the set that was offered last. */
  bindings: number;
  problems: readonly Problem[];
  notes: number;
  relays: {
    wanted: readonly WantedRelay[];
    states: ReadonlyMap<string, RelayState>;
    counters: ReadonlyMap<string, RelayCounters>;
    finishing: readonly { wanted: WantedRelay; port: number; counters: RelayCounters }[];
  };
  checks: {
    wanted: readonly WantedCheck[];
    states: ReadonlyMap<string, CheckState>;
    faultOf(key: string): string | undefined;
  };
  /** Names of containers. */
  flapping: readonly string[];
  services: readonly DeclaredService[];
}

export interface EnginePart {
  label: string;
  where: string;
  /** Why nobody can tell where its ports are open. */
  addressFault?: string | undefined;
  view: EngineView;
  counters: Pick<EngineCounters, "passes" | "events" | "lastReadAt">;
}

export function assembleStatus(parts: StatusParts, now: number): AgentStatus {
  const { version, startedAt, hostId, declaredLabel, addresses, engines, lease } = parts;
  return {
    version,
    uptime: secondsBetween(startedAt, now),
    hostId,
    hostLabel: { declared: declaredLabel, granted: lease.hostLabel },
    addresses: [...addresses],
    addressFault: parts.addressFault,
    engines: engines.map((engine) => engineStatus(engine, now)),
    resolver: resolverStatus(lease, now),
    bindings: parts.bindings,
    problems: parts.problems.map(({ container, code, message }) => ({ container, code, message })),
    notes: parts.notes,
    relays: relayStatuses(parts.relays),
    checks: checkStatuses(parts.checks),
    flapping: [...parts.flapping],
    services: serviceStatuses(parts),
  };
}

/** Up is what was read and is there, however long ago that was: the age says so. */
function engineStatus({ label, where, addressFault, view, counters }: EnginePart, now: number): EngineStatus {
  const { read, about, fault, gone, absent, unreadSince } = view;
  const { passes, events, lastReadAt } = counters;
  return {
    label,
    where,
    kind: about?.kind ?? "",
    version: about?.version,
    up: read !== undefined && fault === undefined && !gone && !absent && unreadSince === undefined,
    fault: fault === undefined ? undefined : describeFault(fault),
    addressFault,
    lastReadAgo: lastReadAt === undefined ? undefined : secondsBetween(lastReadAt, now),
    containers: (read?.containers.length ?? 0) + (read?.draining.length ?? 0),
    passes,
    events,
    draining: read?.draining.length ?? 0,
  };
}

function resolverStatus(lease: LeaseState, now: number): ResolverStatus {
  const { url, fault, leaseMs, renewedAt, isLinked, pushes, renewals, refused } = lease;
  const sinceMs = renewedAt === undefined ? undefined : now - renewedAt;
  return {
    url,
    up: fault === undefined && renewedAt !== undefined,
    fault,
    lastSyncAgo: sinceMs === undefined ? undefined : rounded(sinceMs),
    lease: leaseMs === undefined ? undefined : rounded(leaseMs),
    // Below 0 it tells for how long it has lapsed.
    leaseRemaining: leaseMs === undefined || sinceMs === undefined ? undefined : rounded(leaseMs - sinceMs),
    link: isLinked,
    pushes,
    renewals,
    refused: refused.map(({ name, code, message }) => ({ name: displayName(name), code, message })),
  };
}

function relayStatuses(relays: StatusParts["relays"]): AgentStatus["relays"] {
  const { wanted, states, counters, finishing } = relays;
  const current = wanted.flatMap((relay) => {
    const state = states.get(relay.key);
    // About to be opened.
    if (state === undefined) return [];
    return {
      ...relayStatus(relay, counters.get(relay.key) ?? noTraffic),
      state: state.kind,
      port: state.kind === "open" ? state.port : undefined,
      fault: state.kind === "failed" ? state.fault : undefined,
    };
  });
  const former = finishing.map(({ wanted: relay, port, counters: counted }) => {
    return { ...relayStatus(relay, counted), state: "finishing" as const, port, fault: undefined };
  });
  return [...current, ...former];
}

function relayStatus({ key, container, protocol }: WantedRelay, counted: RelayCounters) {
  const { bytesIn, bytesOut, connectionsOpen: connections, connectionsFailed: failed } = counted;
  const refused = counted.connectionsRefused + counted.datagramsDropped;
  return { key, container, protocol, bytesIn, bytesOut, connections, refused, failed };
}

function checkStatuses({ wanted, states, faultOf }: StatusParts["checks"]): AgentStatus["checks"] {
  return wanted.map((check) => ({
    container: check.container,
    target: targetOf(check),
    state: states.get(check.key) ?? "starting",
    fault: faultOf(check.key),
  }));
}

function serviceStatuses({ services, checks: { wanted, states } }: StatusParts): AgentStatus["services"] {
  const byService = Map.groupBy(wanted, ({ container }) => container);
  return services.map(({ id, names, check }) => ({
    id,
    names: names.map(displayName),
    state: check === undefined ? "unchecked" : bestOf(byService.get(id) ?? [], states),
  }));
}

/** A service is declared as soon as one of its addresses serves; what the others say stands among the checks. */
function bestOf(checks: readonly WantedCheck[], states: StatusParts["checks"]["states"]): CheckState {
  const found = new Set(checks.map(({ key }) => states.get(key) ?? "starting"));
  if (found.has("healthy")) return "healthy";
  return found.has("unhealthy") && !found.has("starting") ? "unhealthy" : "starting";
}

function targetOf({ httpPath, address, port }: WantedCheck): string {
  const at = formatEndpoint({ address, port });
  return httpPath === undefined ? `tcp ${at}` : `http://${at}${httpPath}`;
}

function secondsBetween(from: number, to: number): number {
  return rounded(to - from);
}

/** Milliseconds to seconds, to the millisecond. */
function rounded(ms: number): number {
  return Math.round(ms) / 1000;
}
