import type { EngineCli } from "../testbed/engine-cli.ts";
import type { PushRecorder } from "./push-recorder.ts";

/**
 * What is reachable on an engine by its containers' own names, made from `docker inspect` alone and with none of the agent's code:
 * `web 80/tcp 10.77.0.1:32768`, sorted. For containers with published ports and no labels.
 */
export async function truthOf(engine: EngineCli, addresses: string[]): Promise<string[]> {
  const ids = (await engine.docker("ps", "--quiet", "--no-trunc")).split("\n").filter(Boolean);
  if (ids.length === 0) return [];
  const containers = JSON.parse(await engine.docker("inspect", ...ids)) as Inspected[];
  return containers.flatMap((container) => linesOf(container, addresses)).toSorted();
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

type Inspected = {
  Name: string;
  State: { Running: boolean; Paused: boolean; Restarting: boolean };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
};

function linesOf({ Name, State, NetworkSettings }: Inspected, addresses: string[]): string[] {
  if (!State.Running || State.Paused || State.Restarting) return [];
  const lines: string[] = [];
  for (const [key, entries] of Object.entries(NetworkSettings.Ports)) {
    for (const { HostIp, HostPort } of entries ?? []) {
      for (const address of addresses) {
        if (isOpenAt(HostIp, address))
          lines.push(`${Name.replace("/", "")} ${key} ${withPort(address, HostPort)}`);
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
