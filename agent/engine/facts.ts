import { z } from "zod";

import { type Address, isUnspecified, parseAddress } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import { isReadLabel, isReadVariable } from "../declare/read-keys.ts";
import { sortedBy } from "../sorted.ts";
import type { EngineInspect } from "./engine.ts";
import { servingVariables } from "./env.ts";
import { keptTexts } from "./kept-texts.ts";
import { type ExposedMap, exposedPorts, portMapSchema, publishedPorts } from "./port-maps.ts";
import { signalName } from "./signals.ts";

/** What berth has to know of one container, and nothing else of what its engine tells. */
export interface ContainerFacts {
  id: string;
  /** Without Docker's leading slash. */
  name: string;
  /** As the engine names it, such as nginx:1.27. */
  image: string;
  /** Those within berth's limits. */
  labels: Readonly<Record<string, string>>;
  /** Only the variables that name services for some program (SERVICE_NAME and the like): others may hold secrets. */
  env: Readonly<Record<string, string>>;
  /** Which labels or variables are too long or too many to be read, in words; undefined when none are. */
  unread: string | undefined;
  /** It serves: running, neither paused nor between two restarts. */
  running: boolean;
  /** Its processes stand still, and keep their connections. */
  paused?: true;
  /** Its engine has told it to stop, and its processes have not ended. */
  stopping?: true;
  /** It ended, and its engine is about to start it again. */
  restarting?: true;
  startedAt: string;
  /** What a polite stop sends, by its name: SIGTERM, whatever the engine calls it. */
  stopSignal: string;
  /** What the container's own HEALTHCHECK says. */
  health: Binding["health"];
  networkMode: string;
  /** The published ports; none while it does not run. */
  ports: readonly PublishedPort[];
  /** What the container, or else its image, says it listens at (EXPOSE); sorted. */
  exposed: readonly ExposedPort[];
  /** Sorted by name; none while it does not run. */
  networks: readonly ContainerNetwork[];
  compose: ComposeFacts | undefined;
  /** It is a task of a Swarm service: its ports may be published by the routing mesh, not by this engine. */
  isSwarmTask: boolean;
}

export interface ExposedPort {
  protocol: "tcp" | "udp" | "sctp";
  containerPort: number;
}

export interface ContainerNetwork {
  name: string;
  /** The container's own addresses in it. */
  addresses: readonly Address[];
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

const networkSchema = z.looseObject({
  IPAddress: z.string().nullish(),
  GlobalIPv6Address: z.string().nullish(),
});
const exposedSchema = z.record(z.string(), z.unknown()).nullish();

/** Null and absent are the same to engines, which differ in it between versions. */
const inspectSchema = z.looseObject({
  Id: z.string().min(1),
  Name: z.string().min(1),
  State: z.looseObject({
    Running: z.boolean(),
    Status: z.string().nullish(),
    Paused: z.boolean().nullish(),
    Restarting: z.boolean().nullish(),
    StartedAt: z.string().nullish(),
    Health: z.looseObject({ Status: z.string().nullish() }).nullish(),
  }),
  Config: z.looseObject({
    Image: z.string().nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    Env: z.array(z.string()).nullish(),
    // Podman gives its number.
    StopSignal: z.union([z.string(), z.number()]).nullish(),
    ExposedPorts: exposedSchema,
  }),
  HostConfig: z.looseObject({ NetworkMode: z.string().nullish(), PortBindings: portMapSchema }),
  NetworkSettings: networkSchema.extend({
    Ports: portMapSchema,
    Networks: z.record(z.string(), networkSchema.nullish()).nullish(),
  }),
});
type Inspect = z.infer<typeof inspectSchema>;

/** What an engine's description of a container leaves open. */
export interface Dialect {
  isPodman: boolean;
  /** What the container's image exposes, where the engine does not say so of the container. */
  exposedByImage?: ExposedMap;
}

/** Throws a BerthError `engine-fault` when the engine's description lacks what berth has to know. */
export function factsFromInspect(
  inspect: EngineInspect,
  { isPodman, exposedByImage }: Dialect = { isPodman: false },
): ContainerFacts {
  const parsed = inspectSchema.safeParse(inspect);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const message = `the engine describes it in a way berth cannot read (${issue?.path.join(".")}: ${issue?.message})`;
    throw new BerthError("engine-fault", message, { cause: parsed.error });
  }
  const { Id, Name, State, Config, HostConfig, NetworkSettings } = parsed.data;
  const running = State.Running && State.Paused !== true && State.Restarting !== true;
  const all = Config.Labels ?? {};
  const labels = keptTexts(all, "label", isReadLabel);
  const env = keptTexts(servingVariables(Config.Env ?? []), "variable", isReadVariable);
  const unread = [labels.leftOut, env.leftOut].filter((words) => words !== undefined);
  const networkMode = HostConfig.NetworkMode ?? "";
  return {
    id: Id,
    name: Name.replace(/^\//, ""),
    image: Config.Image ?? "",
    labels: labels.texts,
    env: env.texts,
    unread: unread.length === 0 ? undefined : unread.join("; "),
    running,
    ...(State.Running && State.Paused === true ? { paused: true as const } : {}),
    ...(isPodman && isStopping(State) ? { stopping: true as const } : {}),
    ...(State.Restarting === true ? { restarting: true as const } : {}),
    startedAt: State.StartedAt ?? "",
    stopSignal: signalName(Config.StopSignal) ?? "SIGTERM",
    health: healthFrom(State.Health?.Status),
    networkMode,
    // An exited container can still show its old ports, which by now may be another container's (seen after kill -9 of dockerd).
    ports: running ? publishedPorts(NetworkSettings.Ports, HostConfig.PortBindings, isPodman) : [],
    exposed: exposedPorts(exposedByImage ?? Config.ExposedPorts ?? {}),
    networks: running ? networksFrom(NetworkSettings, networkMode) : [],
    compose: composeFrom(labels.texts),
    isSwarmTask: all["com.docker.swarm.task.id"] !== undefined,
  };
}

/** Whether the container's processes have not ended: it serves, or goes on with what it has begun. */
export function lasts({ running, paused, stopping }: ContainerFacts): boolean {
  return running || paused === true || stopping === true;
}

/** Podman does not count such a container among the running ones; its later versions name the state as Docker does. */
function isStopping({ Running, Status }: Inspect["State"]): boolean {
  return !Running && (Status === "stopping" || Status === "running");
}

function healthFrom(status: string | null | undefined): Binding["health"] {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

function networksFrom(settings: Inspect["NetworkSettings"], networkMode: string): ContainerNetwork[] {
  const joined = Object.entries(settings.Networks ?? {});
  const networks = joined.map(([name, network]) => ({ name, addresses: addressesIn(network ?? {}) }));
  if (networks.length > 0) return sortedBy(networks, ({ name }) => name);
  // Older Podman describes its default network here alone; Docker no longer fills these fields (API 1.52).
  const addresses = addressesIn(settings);
  return addresses.length === 0 ? [] : [{ name: networkMode, addresses }];
}

function addressesIn({ IPAddress, GlobalIPv6Address }: z.infer<typeof networkSchema>): Address[] {
  const found = [IPAddress, GlobalIPv6Address].map((text) => parseAddress(text ?? ""));
  return found.filter((address) => address !== undefined && !isUnspecified(address)) as Address[];
}

function composeFrom(labels: Readonly<Record<string, string>>): ComposeFacts | undefined {
  const project = labels["com.docker.compose.project"];
  const service = labels["com.docker.compose.service"];
  if (!project || !service) return undefined;
  return { project, service, oneoff: labels["com.docker.compose.oneoff"]?.toLowerCase() === "true" };
}
