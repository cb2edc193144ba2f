import {
  counter,
  countsOf,
  exposition,
  type Family,
  gauge,
  type Sample,
  samplesBy,
} from "../../shared/prometheus.ts";
import type { AgentStatus } from "./agent-status.ts";

/** Prometheus' text format 0.0.4. Families without a sample are left out. */
export function metricsText(status: AgentStatus): string {
  const families = [hostFamilies, engineFamilies, resolverFamilies, relayFamilies];
  const all = families.flatMap((of) => of(status));
  return exposition("berth_agent", all);
}

function hostFamilies(status: AgentStatus): Family[] {
  const { version, hostId, hostLabel, addressFault, problems, checks, services } = status;
  const info = { version, host_id: hostId, host_label: hostLabel.granted ?? hostLabel.declared };
  const codes = countsOf(problems.map(({ code }) => code));
  const states = countsOf(checks.map(({ state }) => state));
  const named = countsOf(services.map(({ state }) => state));
  return [
    gauge("info", "The agent's version and its host; always 1.", [{ value: 1, labels: info }]),
    gauge("uptime_seconds", "Seconds since the agent's start.", [{ value: status.uptime }]),
    gauge("addresses_up", "Whether the host's last look at its own addresses was good.", [
      { value: addressFault === undefined },
    ]),
    gauge("bindings", "Bindings the host declares.", [{ value: status.bindings }]),
    gauge("problems", "What hinders containers from being reached.", [{ value: problems.length }]),
    gauge("problems_by_code", "What hinders containers from being reached.", samplesBy("code", codes)),
    gauge("notes", "What is left out on purpose.", [{ value: status.notes }]),
    gauge("flapping_containers", "Containers that come and go too often to be relied on.", [
      { value: status.flapping.length },
    ]),
    gauge("checks", "The agent's own health checks, by what they say.", samplesBy("state", states)),
    gauge("services", "Services the host's files name, by what their check says.", samplesBy("state", named)),
  ];
}

function relayFamilies({ relays }: AgentStatus): Family[] {
  // A container may have one that is finishing, or several, beside the one that is open.
  const finishing = relays.filter(({ state }) => state === "finishing");
  const current = relays.filter(({ state }) => state !== "finishing");
  const own = current.map((relay) => ({
    ...relay,
    labels: { relay: relay.key, container: relay.container },
  }));
  const isOpen = own.map(({ state, labels }) => ({ value: state === "open", labels }));
  const connections = own.map(({ connections: value, labels }) => ({ value, labels }));
  const refused = own.map(({ refused: value, labels }) => ({ value, labels }));
  const failed = own.map(({ failed: value, labels }) => ({ value, labels }));
  const bytes = own.flatMap(({ bytesIn, bytesOut, labels }) => [
    { value: bytesIn, labels: { ...labels, direction: "in" } },
    { value: bytesOut, labels: { ...labels, direction: "out" } },
  ]);
  return [
    gauge("relay_open", "Whether the relay of an unpublished port listens.", isOpen),
    gauge("relay_connections", "Connections the relay has open.", connections),
    gauge("finishing_relays", "Relays that take nobody new.", [{ value: finishing.length }]),
    gauge("finishing_relay_connections", "Connections that go on at relays that take nobody new.", [
      { value: finishing.reduce((sum, { connections: open }) => sum + open, 0) },
    ]),
    counter("relay_refused_total", "Connections and datagrams without room at the relay.", refused),
    counter("relay_failed_total", "Relayed connections the container did not accept.", failed),
    counter("relay_bytes_total", "Bytes relayed towards the container (in) and from it (out).", bytes),
  ];
}

function engineFamilies({ engines }: AgentStatus): Family[] {
  const of = (key: "up" | "lastReadAgo" | "containers" | "draining" | "passes" | "events"): Sample[] =>
    engines.map((engine) => ({ value: engine[key], labels: { engine: engine.label } }));
  const infos = engines.map(({ label, where, kind, version = "" }) => ({
    value: 1,
    labels: { engine: label, where, kind, version },
  }));
  return [
    gauge("engine_info", "An engine the agent watches; always 1.", infos),
    gauge("engine_up", "Whether the engine's last read succeeded.", of("up")),
    gauge("engine_last_read_age_seconds", "Seconds since the engine was last read.", of("lastReadAgo")),
    gauge("engine_containers", "Running containers by the engine's last good read.", of("containers")),
    gauge("engine_draining_containers", "Containers told to stop, left out already.", of("draining")),
    counter("engine_passes_total", "Passes over the engine.", of("passes")),
    counter("engine_events_total", "Events the engine sent.", of("events")),
  ];
}

function resolverFamilies({ resolver }: AgentStatus): Family[] {
  return [
    gauge("resolver_up", "Whether the resolver took the last request.", [{ value: resolver.up }]),
    gauge("last_sync_age_seconds", "Seconds since the registry last took a push or renewal.", [
      { value: resolver.lastSyncAgo },
    ]),
    gauge("lease_seconds", "The lease the registry granted.", [{ value: resolver.lease }]),
    gauge("lease_remaining_seconds", "What is left of it; 0 once it has lapsed.", [
      { value: resolver.leaseRemaining === undefined ? undefined : Math.max(0, resolver.leaseRemaining) },
    ]),
    gauge("link_open", "Whether the lease is renewed by an open link.", [{ value: resolver.link }]),
    gauge("refused_names", "Names the registry does not grant this host.", [
      { value: resolver.refused.length },
    ]),
    counter("pushes_total", "Pushes the registry took, of whole sets and of deltas.", [
      { value: resolver.pushes },
    ]),
    counter("renewals_total", "Renewals the registry took.", [{ value: resolver.renewals }]),
  ];
}
