import { z } from "zod";

import { type AgentConfig, agentOptions, enginesAt } from "../agent/config.ts";
import { startAgent } from "../agent/main.ts";
import { lookupsNeedToken, type ResolverConfig, resolverOptions } from "../resolver/config.ts";
import { startResolver } from "../resolver/node.ts";
import { formatEndpoint, isUnspecified, parseAddress } from "../shared/address.ts";
import { type ListenAddress, type Option, readConfig } from "../shared/config.ts";
import type { LogLevel } from "../shared/log.ts";
import type { Name } from "../shared/name.ts";
import { assertListenIsSafe, type ProxyConfig, proxyOptions } from "../socks-proxy/config.ts";
import { startProxy } from "../socks-proxy/main.ts";
import { logFor, type Running, yesOption } from "./command.ts";
import type { StatePaths } from "./state.ts";
import { widenThreadPool } from "./thread-pool.ts";
import { fetchTrusting } from "./trust.ts";
import { undoAll } from "./undo.ts";
import { version } from "./version.ts";

/** Agent and proxy are told to come to where the resolver listens, and "every address" is none that one can connect to. */
const reachableListen: typeof resolverOptions.listen.schema = resolverOptions.listen.schema.refine(
  ({ host }) => {
    const address = parseAddress(host);
    return address === undefined || !isUnspecified(address);
  },
  "listen on one of this machine's addresses, such as 127.0.0.1:8053; on several machines run the parts one by one (README)",
);

/** One that is on this machine: what these commands cannot find, they start. */
const socketOption = z
  .string({ error: "the engine's socket" })
  .default(() => process.env.DOCKER_HOST || "unix:///var/run/docker.sock")
  .transform((text, context) => {
    const path = text.startsWith("unix://") ? text.slice("unix://".length) : text;
    if (path.startsWith("/") && !/[\s,?]/.test(path)) return path;
    const message = `"${text}" (DOCKER_HOST is taken when nothing is given) is not the socket of an engine on this machine, such as unix:///var/run/docker.sock; berth agent watches others as well`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }) as unknown as z.ZodType<string>;

/** What `up` and `demo` let a user choose; everything else is wired from one part to the next. */
export const allPartsOptions = {
  zone: resolverOptions.zone,
  listen: {
    schema: reachableListen,
    value: "HOST:PORT",
    help: "where the resolver serves https (127.0.0.1:8053)",
  },
  proxyListen: {
    ...proxyOptions.listen,
    help: "where the proxy takes SOCKS5 clients (127.0.0.1:1080)",
  },
  engine: {
    schema: socketOption,
    value: "SOCKET",
    help: "this machine's engine (default: DOCKER_HOST, else unix:///var/run/docker.sock)",
  },
  hostLabel: agentOptions.hostLabel,
  outside: proxyOptions.outside,
  ...yesOption,
} satisfies Record<string, Option<unknown>>;

type Flags = Record<string, string | boolean>;
type Environment = Record<string, string | undefined>;

/** What each part is to do, but for what only the resolver's start can tell. */
export interface PartsConfig {
  resolver: ResolverConfig;
  agent: AgentConfig;
  proxy: ProxyConfig;
  /** The engine's socket. */
  socketPath: string;
  /** The user named the engine: no other will do. */
  isEngineChosen: boolean;
  yes: boolean;
}

/** Reads everything before anything is started. Throws a BerthError `bad-config` that names the flags as `up` and `demo` have them. */
export function readPartsConfig(flags: Flags, env: Environment, paths: StatePaths): PartsConfig {
  const { yes, engine: socketPath } = readConfig(allPartsOptions, flags, env);
  const resolverFlags = { ...pick(flags, "zone", "listen"), stateDir: paths.resolver };
  const agentFlags = {
    ...pick(flags, "zone", "hostLabel", "status"),
    engine: socketPath,
    stateDir: paths.agent,
    tokenFile: paths.agentTokenFile,
  };
  // The resolver is the one that is started here, whatever other commands are told; and BERTH_LISTEN is its own.
  const agentEnv = { ...env, BERTH_RESOLVER: undefined };
  const proxyEnv = { ...agentEnv, BERTH_LISTEN: env.BERTH_PROXY_LISTEN };
  const { proxyListen } = flags;
  const proxyFlags = {
    ...pick(flags, "zone", "outside"),
    stateDir: paths.proxy,
    ...(proxyListen === undefined ? {} : { listen: proxyListen }),
  };
  const proxy = readConfig(proxyOptions, proxyFlags, proxyEnv);
  assertListenIsSafe(proxy, "--proxy-listen");
  return {
    resolver: readConfig(resolverOptions, resolverFlags, env),
    agent: readConfig(agentOptions, agentFlags, agentEnv),
    proxy,
    socketPath,
    isEngineChosen: Boolean(flags.engine ?? (env.BERTH_ENGINE || env.DOCKER_HOST)),
    yes,
  };
}

function pick(flags: Flags, ...keys: string[]): Flags {
  return Object.fromEntries(Object.entries(flags).filter(([key]) => keys.includes(key)));
}

export interface AllParts extends Running {
  zone: Name;
  resolver: ListenAddress;
  resolverUrl: string;
  proxy: ListenAddress;
  /** Where browsers get their configuration; undefined where it could not be served. */
  page: ListenAddress | undefined;
  caFile: string;
  readerTokenFile: string;
  /** Whether lookups do. */
  needsToken: boolean;
  fetch: typeof fetch;
}

/** Starts the three parts, the agent on the engine at `engine`; what was started is closed again when a later part cannot start. */
export async function startAll(config: PartsConfig, engine: string, logLevel: LogLevel): Promise<AllParts> {
  widenThreadPool();
  const started: (() => Promise<void>)[] = [];
  const close = () => undoAll(started);
  try {
    const resolver = await startResolver(config.resolver, logFor("resolver", logLevel));
    started.push(resolver.close);
    const { address, caFile } = resolver;
    const resolverUrl = `https://${formatEndpoint({ address: address.host, port: address.port })}`;
    const fetch = fetchTrusting(caFile, true);
    const agentConfig: AgentConfig = {
      ...config.agent,
      engine: enginesAt(engine),
      resolver: [resolverUrl],
    };
    const agent = await startAgent(agentConfig, {
      fetch,
      log: logFor("agent", logLevel),
      version: version(),
    });
    started.push(agent.close);
    const { readerTokenFile } = resolver;
    const proxyConfig: ProxyConfig = {
      ...config.proxy,
      resolver: [resolverUrl],
      tokenFile: readerTokenFile,
      // Who ends everything waits for nothing.
      drainTimeout: 0,
    };
    const proxyPorts = {
      ca: { file: caFile, required: true },
      log: logFor("proxy", logLevel),
      listenFlag: "--proxy-listen",
    };
    const proxy = await startProxy(proxyConfig, proxyPorts);
    started.push(proxy.close);
    const { zone } = config.resolver;
    const found = { zone, resolver: address, resolverUrl, proxy: proxy.address, page: proxy.page };
    const needsToken = lookupsNeedToken(config.resolver);
    return { ...found, caFile, readerTokenFile, needsToken, fetch, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}
