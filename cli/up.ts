import { agentOptions } from "../agent/config.ts";
import { startAgent } from "../agent/main.ts";
import { resolverOptions } from "../resolver/config.ts";
import { startResolver } from "../resolver/node.ts";
import { formatEndpoint } from "../shared/address.ts";
import { type ListenAddress, listenOption, type Option, readConfig } from "../shared/config.ts";
import type { LogLevel } from "../shared/log.ts";
import { displayName, type Name } from "../shared/name.ts";
import { proxyOptions } from "../socks-proxy/config.ts";
import { startProxy } from "../socks-proxy/main.ts";
import { type Command, commonOptions, logFor, type Running, yesOption } from "./common.ts";
import { parseFlags } from "./flags.ts";
import { howToUse } from "./how-to-use.ts";
import { interruption } from "./interruption.ts";
import { findEngine } from "./local-engine.ts";
import { type StatePaths, statePaths } from "./state.ts";
import { fetchTrusting } from "./trust.ts";

/** What `up` and `demo` let a user choose; everything else is wired from one part to the next. */
export const allPartsOptions = {
  zone: resolverOptions.zone,
  listen: { ...resolverOptions.listen, help: "where the resolver serves https (127.0.0.1:8053)" },
  proxyListen: {
    schema: listenOption("127.0.0.1:1080"),
    value: "HOST:PORT",
    help: "where the proxy takes SOCKS5 clients (127.0.0.1:1080)",
  },
  hostLabel: { ...agentOptions.hostLabel },
  outside: proxyOptions.outside,
  ...commonOptions,
  ...yesOption,
} satisfies Record<string, Option<unknown>>;

export interface AllParts extends Running {
  zone: Name;
  resolver: ListenAddress;
  resolverUrl: string;
  proxy: ListenAddress;
  caFile: string;
  fetch: typeof fetch;
}

/** `berth up`: resolver, agent and proxy in one process, on loopback, for the containers this machine has. */
export const upCommand: Command = {
  summary: "run resolver, agent and proxy on this machine, for the containers it has",
  options: allPartsOptions,
  async run(argv) {
    const flags = parseFlags(allPartsOptions, argv);
    const config = readConfig(allPartsOptions, flags, process.env);
    const interrupted = interruption();
    const engine = await findEngine([], config.yes);
    try {
      interrupted.throwIfAborted();
      const parts = await startAll(flags, engine.socketPath, statePaths(), config.logLevel);
      console.log(howToUse(parts, [`web.shop.${displayName(parts.zone)}`]));
      console.log("Ctrl-C ends it. berth ls lists the names.");
      return {
        async close() {
          await parts.close();
          await engine.close();
        },
      };
    } catch (fault) {
      await engine.close();
      throw fault;
    }
  },
};

/** Starts the three parts on `flags` of allPartsOptions; what was started is closed again when a later part cannot start. */
export async function startAll(
  flags: Record<string, string | boolean>,
  socketPath: string,
  paths: StatePaths,
  logLevel: LogLevel,
): Promise<AllParts> {
  const started: Running[] = [];
  const close = async (): Promise<void> => {
    for (const part of started.toReversed()) await part.close();
  };
  try {
    const resolverConfig = readConfig(resolverOptions, pick(flags, "zone", "listen"), process.env, {
      stateDir: paths.resolver,
    });
    const resolver = await startResolver(resolverConfig, logFor("resolver", logLevel));
    started.push(resolver);
    const { host, port } = resolver.address;
    const resolverUrl = `https://${formatEndpoint({ address: host, port })}`;
    const fetch = fetchTrusting(resolver.caFile, true);

    const agentFlags = { ...pick(flags, "zone", "hostLabel"), engine: socketPath, resolver: resolverUrl };
    const agentPaths = { stateDir: paths.agent, tokenFile: resolver.agentTokenFile };
    const agentConfig = readConfig(agentOptions, { ...agentFlags, ...agentPaths }, process.env);
    started.push(await startAgent(agentConfig, { fetch, log: logFor("agent", logLevel) }));

    const proxyFlags = { ...pick(flags, "zone", "outside"), resolver: resolverUrl };
    const listen = flags.proxyListen ?? process.env.BERTH_PROXY_LISTEN;
    const proxyConfig = readConfig(
      proxyOptions,
      { ...proxyFlags, ...(listen === undefined ? {} : { listen }) },
      {},
    );
    const proxy = await startProxy(proxyConfig, { fetch, log: logFor("proxy", logLevel) });
    started.push(proxy);
    const { caFile } = resolver;
    return {
      zone: resolverConfig.zone,
      resolver: resolver.address,
      resolverUrl,
      proxy: proxy.address,
      caFile,
      fetch,
      close,
    };
  } catch (fault) {
    await close();
    throw fault;
  }
}

function pick(flags: Record<string, string | boolean>, ...keys: string[]): Record<string, string | boolean> {
  return Object.fromEntries(Object.entries(flags).filter(([key]) => keys.includes(key)));
}
