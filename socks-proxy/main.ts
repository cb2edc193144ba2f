import type { StubResolver } from "../client/stub-resolver.ts";
import { isLoopbackHost, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { describeFault } from "../shared/errors.ts";
import { displayName } from "../shared/name.ts";
import { Acceptance } from "./acceptance.ts";
import { assertListenIsSafe, type ProxyConfig } from "./config.ts";
import { contextFrom, type ProxyPorts, type SharedContext, stubFor } from "./context.ts";
import { createHttpProxy } from "./http/http-proxy.ts";
import { type RunningPage, startPage } from "./page/page-server.ts";
import { proxyStatus } from "./page/page-status.ts";
import { formatListen, listen } from "./relay/listener.ts";
import type { ConnectionContext } from "./server.ts";
import { type KeptTransparent, keepTransparent } from "./transparent/keep-transparent.ts";
import { watchUpstreams } from "./transparent/upstreams.ts";

export type { ProxyPorts } from "./context.ts";

export interface RunningProxy {
  /** Where it listens; the port is the real one when the system chose it. */
  address: ListenAddress;
  /** Where its page is; undefined without one, and while its port cannot be had. */
  page: ListenAddress | undefined;
  /** Stops accepting, gives busy connections the drain time-out, and ends every connection. Resolves when all are closed. */
  close(): Promise<void>;
}

/** How long the start waits for the resolver to say which zones it has: until then a name of one could pass for an outside one. */
const zonesMs = 1_000;
const local = parseAddress("127.0.0.1");

/** Throws a BerthError `port-in-use`, `cannot-listen`, or one that says which setting cannot be used. */
export async function startProxy(config: ProxyConfig, ports: ProxyPorts): Promise<RunningProxy> {
  const { log, listenFlag: flag = "--listen", now = () => performance.now() } = ports;
  assertListenIsSafe(config, flag);
  const upstreams = config.transparent ? watchUpstreams(config, { log, now }) : undefined;
  const stub = stubFor(config, ports, upstreams);
  const parts: { close(): Promise<void> }[] = [];
  async function endAll(): Promise<void> {
    await Promise.all(parts.map((part) => part.close()));
    upstreams?.close();
    await stub.close();
  }
  try {
    const shared = contextFrom(config, ports, stub);
    await zonesSoon(stub);
    const clients = await serveClients(config, shared, flag);
    parts.push(clients);
    const zones = stub.zones().map(displayName).join(", ");
    log.info(
      `SOCKS5 at ${formatListen(clients.address)}, names of ${zones} from ${config.resolver.join(", ")}`,
    );
    const transparent = config.transparent ? await keepTransparent(config, shared) : undefined;
    if (transparent !== undefined) parts.push(transparent);
    const page = await pageFor(config, clients.address, shared, { now, transparent });
    if (page !== undefined) parts.push(page);
    let closed: Promise<void> | undefined;
    return {
      address: clients.address,
      get page() {
        return page?.address;
      },
      close: () => (closed ??= endAll()),
    };
  } catch (fault) {
    await endAll();
    throw fault;
  }
}

/** SOCKS and HTTP, at the one port. */
async function serveClients(
  config: ProxyConfig,
  shared: SharedContext,
  flag: string,
): Promise<Omit<RunningProxy, "page">> {
  const http = createHttpProxy(shared);
  const context: ConnectionContext = { ...shared, serveHttp: http.serve };
  const acceptance = new Acceptance(context, isLoopbackHost(config.listen.host) ? local : undefined);
  const listener = await listen(config.listen, {
    flag,
    accepted: (channel) => acceptance.accept(channel),
    fault(fault) {
      const line = shared.lineLimits.turnedAway(`a client could not be accepted: ${describeFault(fault)}`);
      if (line !== undefined) shared.log.warn(line);
    },
  });
  return {
    address: listener.address,
    async close() {
      listener.close();
      await acceptance.close(config.drainTimeout * 1000);
    },
  };
}

function pageFor(
  { page }: ProxyConfig,
  listen: ListenAddress,
  { stub, counts, users, log }: SharedContext,
  { now, transparent }: { now: () => number; transparent: KeptTransparent | undefined },
): Promise<RunningPage> | undefined {
  if (page === undefined) return undefined;
  const asksForUsers = users !== undefined;
  const startedAt = now();
  const status = () => ({
    ...{ listen, asksForUsers, startedAt, counts },
    stub: stub.status(),
    transparent: transparent?.status(),
  });
  const source = { listen, zones: () => stub.zones(), status: () => proxyStatus(status(), now()) };
  return startPage(page, source, log);
}

async function zonesSoon(stub: StubResolver): Promise<void> {
  const waited = Promise.withResolvers<void>();
  const timer = setTimeout(waited.resolve, zonesMs);
  await Promise.race([stub.zoneOnceKnown("berth.internal"), waited.promise]);
  clearTimeout(timer);
}
