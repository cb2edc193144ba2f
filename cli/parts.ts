import { accessSync, constants } from "node:fs";

import { agentOptions } from "../agent/config.ts";
import { startAgent, withdrawFromResolver } from "../agent/main.ts";
import { lookupsNeedToken, resolverOptions } from "../resolver/config.ts";
import { startResolver } from "../resolver/node.ts";
import { formatEndpoint } from "../shared/address.ts";
import { readConfig } from "../shared/config.ts";
import { displayName } from "../shared/name.ts";
import { proxyOptions } from "../socks-proxy/config.ts";
import { startProxy } from "../socks-proxy/main.ts";
import { type Command, caOption, logFor, logOptions } from "./command.ts";
import { credentialDefaults } from "./credentials.ts";
import { parseFlags } from "./flags.ts";
import { partEnvironment, statePaths } from "./state.ts";
import { widenThreadPool } from "./thread-pool.ts";
import { sendTrusting } from "./trust.ts";
import { version } from "./version.ts";

/** The three parts of berth, each as a process of its own. */

const resolverCommandOptions = { ...resolverOptions, ...logOptions("info") };
export const resolverCommand: Command = {
  summary: "answer for the zone: push API and DNS over HTTPS",
  options: resolverCommandOptions,
  async run(argv) {
    const defaults = { stateDir: statePaths().resolver };
    const config = readConfig(
      resolverCommandOptions,
      parseFlags(resolverCommandOptions, argv),
      partEnvironment(),
      defaults,
    );
    const log = logFor("resolver", config.logLevel);
    const resolver = await startResolver(config, log);
    const { host, port } = resolver.address;
    log.info(`https://${formatEndpoint({ address: host, port })} answers for ${displayName(config.zone)}`);
    log.info(`certificate authority: ${resolver.caFile}; agents' token: ${resolver.agentTokenFile}`);
    if (lookupsNeedToken(config)) log.info(`lookups need a token: ${resolver.readerTokenFile}`);
    return resolver;
  },
};

const agentCommandOptions = { ...agentOptions, ...caOption, ...logOptions("info") };
export const agentCommand: Command = {
  summary: "publish this host's containers to a resolver",
  options: agentCommandOptions,
  async run(argv) {
    const paths = statePaths();
    const defaults = {
      stateDir: paths.agent,
      tokenFile: paths.agentTokenFile,
      ...credentialDefaults(process.env),
    };
    const config = readConfig(
      agentCommandOptions,
      parseFlags(agentCommandOptions, argv),
      partEnvironment(),
      defaults,
    );
    const log = logFor("agent", config.logLevel);
    const ports = {
      fetch: sendTrusting(config.ca ?? paths.caFile, config.ca !== undefined),
      log,
      version: version(),
    };
    if (!config.withdraw) return startAgent(config, ports);
    const wasThere = await withdrawFromResolver(config, ports);
    console.log(wasThere ? "this host's names are withdrawn" : "the resolver held nothing of this host");
    return 0;
  },
};

const proxyCommandOptions = { ...proxyOptions, ...caOption, ...logOptions("info") };
export const proxyCommand: Command = {
  summary: "connect programs by name: SOCKS, HTTP proxy, or any program with --transparent",
  options: proxyCommandOptions,
  async run(argv) {
    widenThreadPool();
    const paths = statePaths();
    const flags = parseFlags(proxyCommandOptions, argv);
    // To nobody but this machine's own resolver: another one must not see its token.
    const isOwn = flags.resolver === undefined && !process.env.BERTH_RESOLVER;
    const defaults = {
      stateDir: paths.proxy,
      ...(isOwn && isReadable(paths.readerTokenFile) ? { tokenFile: paths.readerTokenFile } : {}),
      ...credentialDefaults(process.env),
    };
    const config = readConfig(proxyCommandOptions, flags, partEnvironment(), defaults);
    const ca = { file: config.ca ?? paths.caFile, required: config.ca !== undefined };
    return startProxy(config, { ca, log: logFor("proxy", config.logLevel) });
  },
};

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
