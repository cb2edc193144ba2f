import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type CurlResult, curlSocks } from "../testbed/dns-clients.ts";
import type { Engine, EngineOptions } from "../testbed/engine.ts";
import { createHosts, type Hosts } from "../testbed/hosts.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { type DohAsker, startDohAsker } from "./doh-asker.ts";
import { berth, Part } from "./parts.ts";
import { type ResolverPart, startNodeResolver } from "./resolver-part.ts";
import { startWorker } from "./worker.ts";

export type Runtime = "node" | "worker" | "worker with an old copy";

export type WorldOptions = {
  hosts?: number;
  runtime?: Runtime;
  /** False for a test that starts its agents itself. */
  hasAgents?: boolean;
  /** Further flags of every agent. */
  agentFlags?: string[];
  engine?: Pick<EngineOptions, "liveRestore" | "extraArgs">;
};

/**
 * berth as people run it: an agent on every container host, the resolver and the proxy on a machine without an
 * engine, each a process of its own in its machine's network.
 */
export type World = Hosts & {
  resolver: ResolverPart;
  agents: Part[];
  proxy: Part;
  doh: DohAsker;
  dir: string;
  /** A page by its name, as curl gets it through the proxy. */
  fetch(url: string): Promise<CurlResult>;
  close(): Promise<void>;
};

export const proxyAddress = "127.0.0.1:1080";

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { runtime = "node", hasAgents = true, agentFlags = [] } = options;
  const dir = makeTemporaryDir("berth-w-");
  const machines = await createHosts(options.hosts ?? 1, options.engine);
  const close = async () => {
    // Engines are processes too, and end them slowly.
    await Promise.all(machines.hosts.map(({ engine }) => engine.removeContainers()));
    await stopAll();
    await machines.close().finally(() => dir.remove());
  };
  try {
    const { hosts, client } = machines;
    const place = { dir: join(dir.path, "resolver"), client };
    const resolver = await (runtime === "node" ? startNodeResolver(place) : startWorker(place, runtime));
    const starting = (hasAgents ? hosts : []).map(({ netns, engine }, index) => {
      const agent = { netns, socket: engine.socketPath, dir: join(dir.path, `agent-${index}`), resolver };
      return startAgent(agent, agentFlags);
    });
    const [doh, proxy, ...agents] = await Promise.all([
      startDohAsker({ netns: client.netns, resolver }),
      startProxy(client.netns, resolver),
      ...starting,
    ]);
    // Longer than the proxy waits for a name that went a moment ago.
    const fetch = (url: string) =>
      curlSocks({ url, proxy: proxyAddress, netns: client.netns, maxTimeSeconds: 20 });
    return { ...machines, resolver, agents, proxy, doh, dir: dir.path, fetch, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The engine of one container host. */
export function engineOf(world: World, host = 0): Engine {
  const engine = world.hosts[host]?.engine;
  if (engine === undefined) throw new Error(`there is no host ${host}`);
  return engine;
}

export type AgentPlace = { netns: string; socket: string; dir: string; resolver: ResolverPart };

/** The agent of one host, with copies of what its resolver hands out. */
export function startAgent(place: AgentPlace, flags: string[] = []): Promise<Part> {
  return Part.start({
    name: "agent",
    argv: berth("agent", ...agentFlags(place), ...flags),
    netns: place.netns,
    ready: /watches .* and pushes/,
  });
}

/** Also copies the resolver's certificate and token to where the flags say they are. */
export function agentFlags({ socket, dir, resolver }: AgentPlace): string[] {
  mkdirSync(dir, { recursive: true });
  const ca = join(dir, "ca.pem");
  const token = join(dir, "token");
  copyFileSync(resolver.caFile, ca);
  copyFileSync(resolver.agentTokenFile, token);
  const files = ["--ca", ca, "--token-file", token, "--state-dir", join(dir, "state")];
  return ["--engine", `unix://${socket}`, "--resolver", resolver.url, ...files];
}

export function startProxy(netns: string, { url, caFile, readerTokenFile }: ResolverPart): Promise<Part> {
  const resolver = ["--resolver", url, "--ca", caFile, "--token-file", readerTokenFile];
  const flags = ["--listen", proxyAddress, ...resolver, "--outside", "deny"];
  return Part.start({ name: "proxy", argv: berth("proxy", ...flags), netns, ready: /SOCKS5 at/ });
}
