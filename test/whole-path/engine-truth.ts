import { askEngine, inspectRunning } from "../testbed/engine-api.ts";
import type { EngineCli } from "../testbed/engine-cli.ts";
import type { PushRecorder } from "./push-recorder.ts";

/**
 * What is reachable on an engine by its containers' own names, made from `docker inspect` alone and with none of the agent's code:
 * `web 80/tcp 10.77.0.1:32768`, sorted. For containers without labels: with published ports, in the host's network, or in another
 * container's.
 */
export async function truthOf(engine: EngineCli, addresses: string[]): Promise<string[]> {
  return linesOf(engine, await inspectRunning<Inspected>(engine), addresses);
}

/** The same, with the health of each container that runs, by its name: `none` where no HEALTHCHECK is. */
export async function truthWithHealthOf(
  engine: EngineCli,
  addresses: string[],
): Promise<{ lines: string[]; health: Map<string, string> }> {
  const containers = await inspectRunning<Inspected>(engine);
  const health = containers.map(({ Name, State }): [string, string] => [
    Name.replace("/", ""),
    State.Health?.Status || "none",
  ]);
  return { lines: await linesOf(engine, containers, addresses), health: new Map(health) };
}

/** What the registry was told last, in the same words. */
export function declaredIn(resolver: PushRecorder): string[] {
  const bindings = resolver.declared?.bindings.filter(({ rule }) => rule === "container") ?? [];
  const lines = bindings.flatMap(({ name, protocol, servicePort, addresses, port }) =>
    addresses.map((address) => {
      const container = name.slice(0, name.indexOf("."));
      return `${container} ${servicePort}/${protocol} ${withPort(address, port)}`;
    }),
  );
  return lines.toSorted();
}

/** What the registry was told of the containers' health, by their names; not of those that flap, which count as unhealthy. */
export function declaredHealthIn(resolver: PushRecorder): Map<string, string> {
  const flapping = new Set(resolver.problems.filter((problem) => problem.endsWith(" flapping")));
  const bindings = resolver.declared?.bindings.filter(({ rule }) => rule === "container") ?? [];
  const told = bindings.map(({ name, health }): [string, string] => [
    name.slice(0, name.indexOf(".")),
    health,
  ]);
  return new Map(told.filter(([container]) => !flapping.has(`${container} flapping`)));
}

async function linesOf(engine: EngineCli, containers: Inspected[], addresses: string[]): Promise<string[]> {
  const lines = await Promise.all(
    containers.map(async (container) => {
      const owner = ownerOf(container, containers);
      if (!isServing(container) || owner === undefined) return [];
      if (owner === container && !isHost(owner)) return publishedOf(owner, container.Name, addresses);
      const exposed = await exposedOf(engine, container);
      if (isHost(owner)) return openOnHost(container.Name, exposed, addresses);
      const isInNetworkOfBefore = Date.parse(owner.State.StartedAt) > Date.parse(container.State.StartedAt);
      return isInNetworkOfBefore ? [] : publishedOf(owner, container.Name, addresses, exposed);
    }),
  );
  return lines.flat().toSorted();
}

type Inspected = {
  Id: string;
  Name: string;
  Image: string;
  State: {
    Running: boolean;
    Paused: boolean;
    Restarting: boolean;
    StartedAt: string;
    Health?: { Status: string };
  };
  Config: { ExposedPorts?: Record<string, object> | null };
  HostConfig: { NetworkMode: string };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
};

function isServing({ State }: Inspected): boolean {
  return State.Running && !State.Paused && !State.Restarting;
}

function isHost({ HostConfig }: Inspected): boolean {
  return HostConfig.NetworkMode === "host";
}

/** Whose network it uses: its own, or that of one that serves; undefined when that one does not. */
function ownerOf(container: Inspected, all: Inspected[]): Inspected | undefined {
  const [, reference] = /^container:(.+)$/.exec(container.HostConfig.NetworkMode) ?? [];
  if (reference === undefined) return container;
  const owner = all.find(({ Id, Name }) => Id === reference || Name === `/${reference}`);
  return owner !== undefined && isServing(owner) ? ownerOf(owner, all) : undefined;
}

/** Such as 80/tcp. Podman says it of the image alone, where the agent looks for containers in the host's network only. */
async function exposedOf(engine: EngineCli, container: Inspected): Promise<string[]> {
  const { Config, Image } = container;
  const own = Object.keys(Config.ExposedPorts ?? {});
  if (own.length > 0) return own;
  const image = (await askEngine(engine, `/images/${Image}/json`)) as Pick<Inspected, "Config"> | undefined;
  return Object.keys(image?.Config.ExposedPorts ?? {});
}

function openOnHost(name: string, exposed: string[], addresses: string[]): string[] {
  return exposed.flatMap((key) =>
    addresses.map(
      (address) => `${name.replace("/", "")} ${key} ${withPort(address, key.split("/")[0] ?? "")}`,
    ),
  );
}

/** The ports of `owner`, or those of them that are `exposed`, as the container `name` has them. */
function publishedOf(
  { NetworkSettings }: Inspected,
  name: string,
  addresses: string[],
  exposed?: string[],
): string[] {
  const lines: string[] = [];
  for (const [key, entries] of Object.entries(NetworkSettings.Ports)) {
    if (exposed?.includes(key) === false) continue;
    for (const { HostIp, HostPort } of entries ?? []) {
      for (const address of addresses) {
        if (isOpenAt(HostIp, address))
          lines.push(`${name.replace("/", "")} ${key} ${withPort(address, HostPort)}`);
      }
    }
  }
  return [...new Set(lines)];
}

/** Podman's entries have no address, and mean every IPv4 one. */
function isOpenAt(hostIp: string, address: string): boolean {
  if (hostIp === "0.0.0.0" || hostIp === "") return !address.includes(":");
  return hostIp === "::" ? address.includes(":") : hostIp === address;
}

function withPort(address: string, port: number | string): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
