import { createConnector } from "../client/connector.ts";
import { createStubResolver } from "../client/create-stub-resolver.ts";
import type { StubResolver } from "../client/stub-resolver.ts";
import { isLoopbackHost, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { displayName } from "../shared/name.ts";
import { Acceptance } from "./acceptance.ts";
import { assertListenIsSafe, type ProxyConfig } from "./config.ts";
import { Counts } from "./counts.ts";
import { Admission } from "./limits.ts";
import { createLineLimit } from "./line-limit.ts";
import { formatListen, listen } from "./listener.ts";
import { parseRules } from "./policy-rules.ts";
import { systemReverse } from "./reverse-lookup.ts";
import type { ConnectionContext } from "./server.ts";
import { createStandIns } from "./stand-ins.ts";
import { createUdpBudget, standardUdpBounds } from "./udp-budget.ts";
import { openUsersFile } from "./users-file.ts";

export interface RunningProxy {
  /** Where it listens; the port is the real one when the system chose it. */
  address: ListenAddress;
  /** Stops accepting, gives busy connections the drain time-out, and ends every connection. Resolves when all are closed. */
  close(): Promise<void>;
}

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

const minuteMs = 60_000;

/** Throws a BerthError `port-in-use`, `cannot-listen`, or one that says which setting cannot be used. */
export async function startProxy(config: ProxyConfig, ports: ProxyPorts): Promise<RunningProxy> {
  const { log, listenFlag: flag = "--listen" } = ports;
  assertListenIsSafe(config, flag);
  const stub = stubFor(config, ports);
  try {
    const context = contextFrom(config, ports, stub);
    const { host } = config.listen;
    const acceptance = new Acceptance(context, isLoopbackHost(host) ? parseAddress("127.0.0.1") : undefined);
    const listener = await listen(config.listen, {
      flag,
      accepted: (channel) => acceptance.accept(channel),
      fault(fault) {
        const line = context.lineLimits.turnedAway(`a client could not be accepted: ${describeFault(fault)}`);
        if (line !== undefined) log.warn(line);
      },
    });
    const zones = stub.zones().map(displayName).join(", ");
    log.info(`SOCKS5 at ${formatListen(listener.address)}, names of ${zones} from ${config.resolver.join(", ")}`);
    let closed: Promise<void> | undefined;
    async function close(): Promise<void> {
      listener.close();
      await acceptance.close(config.drainTimeout * 1000);
      await stub.close();
    }
    return { address: listener.address, close: () => (closed ??= close()) };
  } catch (fault) {
    await stub.close();
    throw fault;
  }
}

function stubFor(config: ProxyConfig, { log, ca, fetch, now }: ProxyPorts): StubResolver {
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
  const ports = { log, ...(fetch === undefined ? {} : { fetch }), ...(now === undefined ? {} : { now }) };
  return createStubResolver(settings, ports);
}

function contextFrom(config: ProxyConfig, ports: ProxyPorts, stub: StubResolver): ConnectionContext {
  const { log, now = () => performance.now() } = ports;
  const limits = {
    connectMs: config.connectTimeout * 1000,
    resolveMs: config.resolveTimeout * 1000,
    patienceMs: config.restartPatience * 1000,
  };
  const times = {
    handshake: config.handshakeTimeout * 1000,
    resolve: limits.resolveMs,
    idle: config.idleTimeout * 1000,
  };
  const standIns = createStandIns();
  return {
    connector: createConnector(stub, limits, { now, random: Math.random }),
    stub,
    policy: { rules: parseRules(config.rule), outside: config.outside },
    users: config.usersFile === undefined ? undefined : openUsersFile(config.usersFile, log),
    admission: new Admission(config),
    standIns,
    times,
    udp: {
      standIns,
      budget: createUdpBudget(standardUdpBounds),
      now,
      random: Math.random,
      idleMs: times.idle,
      resolveMs: limits.resolveMs,
    },
    reverse: systemReverse,
    serveHttp: async ({ channel }) => void channel.socket.destroy(),
    counts: new Counts(),
    log,
    lineLimits: {
      turnedAway: createLineLimit(1, now),
      refused: createLineLimit(10, now),
      noToken: createLineLimit(1, now, minuteMs),
    },
  };
}
