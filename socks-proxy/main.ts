import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { systemLookup } from "../client/system-lookup.ts";
import { createTokenFile } from "../client/token-file.ts";
import { formatEndpoint } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { dohPath } from "../shared/dns/doh.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { displayName } from "../shared/name.ts";
import { ResolverChoice } from "../shared/resolver-choice.ts";
import type { ProxyConfig } from "./config.ts";
import { createLineLimit } from "./line-limit.ts";
import { type ConnectionContext, serveConnection } from "./server.ts";

export interface RunningProxy {
  /** Where it listens; the port is the real one when the system chose it. */
  address: ListenAddress;
  /** Stops accepting and ends every connection. Resolves when all are closed. */
  close(): Promise<void>;
}

export interface ProxyPorts {
  fetch: typeof fetch;
  log: Log;
  /** What the user calls the option `listen`, for faults that are mended by it; `--listen` unless said otherwise. */
  listenFlag?: string;
  /** Milliseconds that only ever go up; the process's own clock unless said otherwise. */
  now?: () => number;
}

const minuteMs = 60_000;

/** Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function startProxy(config: ProxyConfig, ports: ProxyPorts): Promise<RunningProxy> {
  const { log } = ports;
  const context = contextFrom(config, ports);
  const connections = new Map<Socket, Promise<void>>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const served = serveConnection(client, context)
      .catch((fault: unknown) => {
        log.error(`a connection ended by a fault of the proxy's own: ${describeFault(fault)}`);
        client.destroy();
      })
      .finally(() => connections.delete(client));
    connections.set(client, served);
  });
  const address = await listen(server, config.listen, ports.listenFlag ?? "--listen");
  // Such as EMFILE on accepting: that client is lost, the next may not be.
  server.on("error", (fault) => {
    const line = context.lineLimits.turnedAway(`a client could not be accepted: ${describeFault(fault)}`);
    if (line !== undefined) log.warn(line);
  });
  const urls = config.resolver.map(dohUrl).join(", ");
  log.info(`SOCKS5 at ${formatListen(address)}, names of ${displayName(config.zone)} from ${urls}`);

  let closed: Promise<void> | undefined;
  async function close(): Promise<void> {
    const serverClosed = once(server, "close");
    server.close();
    for (const client of connections.keys()) client.destroy();
    await Promise.all([serverClosed, ...connections.values()]);
  }
  return { address, close: () => (closed ??= close()) };
}

function contextFrom(config: ProxyConfig, ports: ProxyPorts): ConnectionContext {
  const { zone, outside, tokenFile } = config;
  const now = ports.now ?? (() => performance.now());
  const resolve = config.resolveTimeout * 1000;
  const doh = {
    fetch: ports.fetch,
    choice: new ResolverChoice(config.resolver.map(dohUrl)),
    timeoutMs: resolve,
    now,
    ...(tokenFile === undefined ? {} : { token: createTokenFile(tokenFile) }),
  };
  return {
    resolvers: { zone, outside, doh, lookup: systemLookup },
    limits: {
      handshake: config.handshakeTimeout * 1000,
      resolve,
      connect: config.connectTimeout * 1000,
      idle: config.idleTimeout * 1000,
    },
    log: ports.log,
    lineLimits: {
      turnedAway: createLineLimit(1, now),
      refused: createLineLimit(10, now),
      noToken: createLineLimit(1, now, minuteMs),
    },
  };
}

/** A resolver behind a reverse proxy may have a path of its own. */
function dohUrl(resolver: string): string {
  const url = new URL(resolver);
  url.pathname = url.pathname.replace(/\/+$/, "") + dohPath;
  return url.href;
}

async function listen(server: Server, wanted: ListenAddress, flag: string): Promise<ListenAddress> {
  const listening = once(server, "listening");
  server.listen({ host: wanted.host, port: wanted.port });
  try {
    await listening;
  } catch (cause) {
    throw listenFault(wanted, flag, cause);
  }
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

function listenFault(wanted: ListenAddress, flag: string, cause: unknown): BerthError {
  const where = formatListen(wanted);
  const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
  const message = inUse
    ? `${where} is in use by another program: end it, or choose another port with ${flag}`
    : `cannot listen at ${where}: choose another address with ${flag}`;
  return new BerthError(inUse ? "port-in-use" : "cannot-listen", message, { who: "socks-proxy", cause });
}

function formatListen({ host, port }: ListenAddress): string {
  return formatEndpoint({ address: host, port });
}
