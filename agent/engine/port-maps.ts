import { z } from "zod";

import { sortedBy } from "../sorted.ts";
import type { ExposedPort, PublishedPort } from "./facts.ts";

const portEntrySchema = z.looseObject({ HostIp: z.string().nullish(), HostPort: z.string().nullish() });

/** Which host ports a container port has, or was asked to get, by "80/tcp". */
export const portMapSchema = z
  .record(z.string(), z.array(portEntrySchema).nullish())
  .nullish()
  .transform((map) => map ?? {});
type PortMap = z.infer<typeof portMapSchema>;

/** EXPOSE, as engines write it: {"80/tcp": {}}. */
export type ExposedMap = Readonly<Record<string, unknown>>;

/**
 * `published`: what is open now; `asked`: what people wanted, which tells the ports they chose from those the engine did. Podman writes the
 * ports it chose itself among those, so that one it can have chosen counts as such.
 */
export function publishedPorts(published: PortMap, asked: PortMap, isPodman: boolean): PublishedPort[] {
  const ports = new Map<string, PublishedPort>();
  for (const [key, entries] of Object.entries(published)) {
    const port = portOfKey(key);
    if (port === undefined) continue;
    const chosen = new Set((asked[key] ?? []).map(({ HostPort }) => HostPort));
    for (const entry of entries ?? []) {
      const hostPort = portFrom(entry.HostPort);
      if (hostPort === undefined) continue;
      const hostIp = entry.HostIp ?? "";
      // A range ("9000-9010"), "0" and nothing at all leave the choice to Docker, and so does --publish-all, which asks for no binding.
      const fixed = chosen.has(String(hostPort)) && !(isPodman && isEphemeral(hostPort));
      // Docker was seen to tell one of them twice, now and then.
      ports.set(`${key} ${hostIp} ${hostPort}`, { ...port, hostIp, hostPort, fixed });
    }
  }
  return [...ports.values()];
}

/** Sorted, each once: engines keep them in maps, whose order means nothing. */
export function exposedPorts(exposed: ExposedMap): ExposedPort[] {
  const ports = Object.keys(exposed).flatMap((key) => portOfKey(key) ?? []);
  const once = new Map(ports.map((port) => [`${port.containerPort}/${port.protocol}`, port]));
  return sortedBy(
    [...once.values()],
    (port) => `${String(port.containerPort).padStart(5, "0")} ${port.protocol}`,
  );
}

function portOfKey(key: string): ExposedPort | undefined {
  const match = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(key);
  const containerPort = portFrom(match?.[1]);
  if (containerPort === undefined) return undefined;
  return { protocol: (match?.[2] ?? "tcp") as ExposedPort["protocol"], containerPort };
}

/** The kernel's own choice, as Linux is set up (ip_local_port_range). */
function isEphemeral(port: number): boolean {
  return port >= 32768 && port <= 60999;
}

function portFrom(text: string | null | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? "") ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}
