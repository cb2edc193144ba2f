import type { Reconciler } from "../reconcile.ts";
import type { AgentStatus } from "./agent-status.ts";
import { assembleStatus } from "./assemble-status.ts";

export interface StatusSubject {
  version: string;
  hostId: string;
  hostLabel: string;
  startedAt: number;
  reconciler: Reconciler;
}

/** How the agent is at `now`, by its own clock in milliseconds. */
export function statusOf(subject: StatusSubject, now: number): AgentStatus {
  const { version, hostId, hostLabel, startedAt, reconciler } = subject;
  const { last, engines, keeper, relays, checks, services } = reconciler;
  return assembleStatus(
    {
      ...{ version, hostId, startedAt, declaredLabel: hostLabel, lease: keeper.state },
      addresses: last?.declared.addresses ?? [],
      addressFault: reconciler.addressFault,
      engines: engines.map(({ label, engine, addressFault, watch }) => {
        return { label, where: engine.where, addressFault, view: watch.view, counters: watch.counters };
      }),
      bindings: last?.declared.bindings.length ?? 0,
      problems: last?.declared.problems ?? [],
      notes: last?.outcome.notes.length ?? 0,
      relays: {
        wanted: last?.outcome.relays ?? [],
        states: relays.states(),
        counters: relays.counters(),
        finishing: relays.finishing,
      },
      checks: {
        wanted: last?.outcome.checks ?? [],
        states: checks.states(),
        faultOf: (key) => checks.faultOf(key),
      },
      flapping: flappingNames(reconciler),
      services: services.current?.services ?? [],
    },
    now,
  );
}

function flappingNames({ last }: Reconciler): string[] {
  const containers = last?.input.containers ?? [];
  const flapping = containers.filter(({ container }) => last?.input.flapping.has(container.id));
  return flapping.map(({ container }) => container.name);
}
