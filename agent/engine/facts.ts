import { z } from "zod";

import type { Binding } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import type { EngineInspect } from "./engine.ts";

/** What berth has to know of one container, and nothing else of what its engine tells. */
export interface ContainerFacts {
  id: string;
  /** Without Docker's leading slash. */
  name: string;
  labels: Readonly<Record<string, string>>;
  /** It serves: running, neither paused nor between two restarts. */
  running: boolean;
  startedAt: string;
  health: Binding["health"];
  networkMode: string;
  /** The published ports; none while it does not run. */
  ports: readonly PublishedPort[];
  compose: ComposeFacts | undefined;
}

export interface PublishedPort {
  protocol: "tcp" | "udp" | "sctp";
  containerPort: number;
  /** As Docker tells it: an address, 0.0.0.0, ::, or nothing at all. */
  hostIp: string;
  hostPort: number;
  /** A person chose the host port, so it survives a restart. */
  fixed: boolean;
}

export interface ComposeFacts {
  project: string;
  service: string;
  /** Made by `docker compose run`: not one of the service's replicas. */
  oneoff: boolean;
}

const portEntrySchema = z.looseObject({ HostIp: z.string().nullish(), HostPort: z.string().nullish() });
const portMapSchema = z
  .record(z.string(), z.array(portEntrySchema).nullish())
  .nullish()
  .transform((map) => map ?? {});
type PortMap = z.infer<typeof portMapSchema>;

/** Null and absent are the same to engines, which differ in it between versions. */
const inspectSchema = z.looseObject({
  Id: z.string().min(1),
  Name: z.string().min(1),
  State: z.looseObject({
    Running: z.boolean(),
    Paused: z.boolean().nullish(),
    Restarting: z.boolean().nullish(),
    StartedAt: z.string().nullish(),
    Health: z.looseObject({ Status: z.string().nullish() }).nullish(),
  }),
  Config: z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() }),
  HostConfig: z.looseObject({ NetworkMode: z.string().nullish(), PortBindings: portMapSchema }),
  NetworkSettings: z.looseObject({ Ports: portMapSchema }),
});

/** Throws a BerthError `engine-fault` when the engine's description lacks what berth has to know. */
export function factsFromInspect(inspect: EngineInspect): ContainerFacts {
  const parsed = inspectSchema.safeParse(inspect);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const message = `the engine describes it in a way berth cannot read (${issue?.path.join(".")}: ${issue?.message})`;
    throw new BerthError("engine-fault", message, { cause: parsed.error });
  }
  const { Id, Name, State, Config, HostConfig, NetworkSettings } = parsed.data;
  const running = State.Running && State.Paused !== true && State.Restarting !== true;
  const labels = Config.Labels ?? {};
  return {
    id: Id,
    name: Name.replace(/^\//, ""),
    labels,
    running,
    startedAt: State.StartedAt ?? "",
    health: healthFrom(State.Health?.Status),
    networkMode: HostConfig.NetworkMode ?? "",
    // An exited container can still show its old ports, which by now may be another container's (seen after kill -9 of dockerd).
    ports: running ? portsFrom(NetworkSettings.Ports, HostConfig.PortBindings) : [],
    compose: composeFrom(labels),
  };
}

function healthFrom(status: string | null | undefined): Binding["health"] {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

function portsFrom(published: PortMap, asked: PortMap): PublishedPort[] {
  const ports: PublishedPort[] = [];
  for (const [key, entries] of Object.entries(published)) {
    const match = /^(\d+)\/(tcp|udp|sctp)$/.exec(key);
    const containerPort = portFrom(match?.[1]);
    if (match === null || containerPort === undefined) continue;
    for (const entry of entries ?? []) {
      const hostPort = portFrom(entry.HostPort);
      if (hostPort === undefined) continue;
      const protocol = match[2] as PublishedPort["protocol"];
      const fixed = isFixed(asked[key], hostPort);
      ports.push({ protocol, containerPort, hostIp: entry.HostIp ?? "", hostPort, fixed });
    }
  }
  return ports;
}

/** A range ("9000-9010"), "0" and nothing at all leave the choice to Docker, and so does --publish-all, which asks for no binding. */
function isFixed(asked: PortMap[string], hostPort: number): boolean {
  return (asked ?? []).some((entry) => entry.HostPort === String(hostPort));
}

function portFrom(text: string | null | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? "") ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

function composeFrom(labels: Readonly<Record<string, string>>): ComposeFacts | undefined {
  const project = labels["com.docker.compose.project"];
  const service = labels["com.docker.compose.service"];
  if (!project || !service) return undefined;
  return { project, service, oneoff: labels["com.docker.compose.oneoff"]?.toLowerCase() === "true" };
}
