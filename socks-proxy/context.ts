import { createConnector } from "../client/connect/connector.ts";
import { DeadEndpoints } from "../client/connect/dead-endpoints.ts";
import { createStubResolver } from "../client/create-stub-resolver.ts";
import type { StubResolver } from "../client/stub-resolver.ts";
import { formatEndpoint } from "../shared/address.ts";
import type { Log } from "../shared/log.ts";
import type { ProxyConfig } from "./config.ts";
import { Counts } from "./counts.ts";
import { Admission } from "./limits.ts";
import { createLineLimit } from "./line-limit.ts";
import { parseBlock } from "./policy/address-block.ts";
import { parseRules } from "./policy/policy-rules.ts";
import { openUsersFile } from "./policy/users-file.ts";
import type { ConnectionContext } from "./server.ts";
import { systemReverse } from "./socks/reverse-lookup.ts";
import { createStandIns } from "./socks/stand-ins.ts";
import type { Upstreams } from "./transparent/upstreams.ts";
import { createUdpBudget, standardUdpBounds } from "./udp/udp-budget.ts";

/** What a proxy is given beside its settings. */
export interface ProxyPorts {
  log: Log;
  /** A certificate authority to trust besides the system's, for the resolver. */
  ca?: { file: string; required: boolean };
  /** In the place of its own transport to the resolver. */
  fetch?: typeof fetch;
  /** What the user calls the option `listen`, for faults that are mended by it; `--listen` unless said otherwise. */
  listenFlag?: string;
  /** Milliseconds that only ever go up; the process's own clock unless said otherwise. */
  now?: () => number;
}

/** What all connections have in common, but for what is made of it. */
export type SharedContext = Omit<ConnectionContext, "serveHttp">;

const minuteMs = 60_000;

/** `upstreams` answer for the resolver's own hostname where the system would ask this very proxy. */
export function stubFor(
  config: ProxyConfig,
  { log, ca, fetch, now }: ProxyPorts,
  upstreams: Upstreams | undefined,
): StubResolver {
  const { resolver, resolverAddress, tokenFile, zone, stateDir, resolveTimeout } = config;
  const settings = {
    resolver,
    resolveTimeoutMs: resolveTimeout * 1000,
    ...(resolverAddress.length === 0 ? {} : { resolverAddress }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(ca === undefined ? {} : { ca }),
    ...(zone === undefined ? {} : { zone }),
    ...(stateDir === undefined ? {} : { stateDir }),
  };
  return createStubResolver(settings, {
    log,
    ...(fetch === undefined ? {} : { fetch }),
    ...(now === undefined ? {} : { now }),
    ...(upstreams === undefined ? {} : { upstreams: async () => upstreams.current().map(formatEndpoint) }),
  });
}

/** What all connections share. Throws a BerthError that says which setting cannot be used. */
export function contextFrom(config: ProxyConfig, ports: ProxyPorts, stub: StubResolver): SharedContext {
  const { log, now = () => performance.now() } = ports;
  const random = Math.random;
  const limits = {
    connectMs: config.connectTimeout * 1000,
    resolveMs: config.resolveTimeout * 1000,
    patienceMs: config.restartPatience * 1000,
  };
  const times = {
    handshake: config.handshakeTimeout * 1000,
    resolve: limits.resolveMs,
    idle: (config.idleTimeout || Number.POSITIVE_INFINITY) * 1000,
  };
  const standIns = createStandIns();
  const budget = createUdpBudget(standardUdpBounds);
  const dead = new DeadEndpoints();
  stub.onChange((names) => dead.changed(names));
  return {
    connector: createConnector(stub, limits, { now, random }),
    stub,
    policy: policyFrom(config),
    users: config.usersFile === undefined ? undefined : openUsersFile(config.usersFile, log),
    admission: new Admission(config),
    standIns,
    times,
    udp: { standIns, budget, dead, now, random, idleMs: times.idle, resolveMs: limits.resolveMs },
    reverse: systemReverse,
    counts: new Counts(),
    log,
    lineLimits: {
      turnedAway: createLineLimit(1, now),
      refused: createLineLimit(10, now),
      noToken: createLineLimit(1, now, minuteMs),
    },
  };
}

function policyFrom({ rule, outside, transparent, transparentRange, transparentIpv6 }: ProxyConfig) {
  const own = transparent ? [transparentRange, transparentIpv6] : [];
  // What is no block is "off", or a fault that the transparent mode speaks of.
  const ownBlocks = own.flatMap((text) => parseBlock(text) ?? []);
  return { rules: parseRules(rule), outside, ownBlocks };
}
