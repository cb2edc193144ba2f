import type { Declared } from "../../shared/binding.ts";
import { inspectRunning } from "../testbed/engine-api.ts";
import type { EngineCli } from "../testbed/engine-cli.ts";

/** How long after its end a port was still declared, at the worst. */
export type Lateness = { ms: number; what: string };

/**
 * Knows which ports of which runs of containers are over, by asking the engine before and after each act on them, and looks at every set
 * that is pushed for one of those. With none of the agent's code but the name of an instance: 12 characters of the id, and StartedAt.
 */
export class StalePorts {
  readonly #inspect: (engine: EngineCli, prefix: string) => Promise<Inspected[]>;
  /** By instance and port, since when it is over. */
  readonly #over = new Map<string, number>();
  worst: Lateness = { ms: 0, what: "" };

  constructor(inspect: (engine: EngineCli, prefix: string) => Promise<Inspected[]> = inspectRunning) {
    this.#inspect = inspect;
  }

  /** Runs `act`, which concerns the containers of `engine` whose names begin with `prefix`. */
  async during(engine: EngineCli, prefix: string, act: () => Promise<void>): Promise<void> {
    const before = openPorts(await this.#inspect(engine, prefix));
    await act();
    const after = openPorts(await this.#inspect(engine, prefix));
    const now = Date.now();
    for (const port of after) this.#over.delete(port);
    for (const port of before) if (!after.has(port)) this.#over.set(port, now);
  }

  /** `quietSince`: what ended before the engine was disturbed is as old as the disturbance. */
  look(declared: Declared, quietSince: (container: string) => number): void {
    const now = Date.now();
    for (const { container, instance, port } of declared.bindings) {
      const since = this.#over.get(`${instance} ${port}`);
      if (since === undefined) continue;
      const ms = now - Math.max(since, quietSince(container));
      if (ms > this.worst.ms) this.worst = { ms, what: `${container}: port ${port} of ${instance}` };
    }
  }
}

function openPorts(containers: Inspected[]): Set<string> {
  return new Set(containers.filter(({ State }) => State.Running && !State.Paused).flatMap(portsOf));
}

/** What the engine says of a container. */
export type Inspected = {
  Id: string;
  State: { Running: boolean; Paused: boolean; StartedAt: string };
  NetworkSettings: { Ports: Record<string, { HostPort: string }[] | null> };
};

function portsOf({ Id, State, NetworkSettings }: Inspected): string[] {
  const entries = Object.values(NetworkSettings.Ports).flatMap((list) => list ?? []);
  return entries.map(({ HostPort }) => `${Id.slice(0, 12)}@${State.StartedAt} ${HostPort}`);
}
