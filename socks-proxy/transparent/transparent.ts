import { type Address, formatEndpoint, parseAddress } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { ProxyConfig } from "../config.ts";
import { type AnswererPorts, createAnswerer } from "./answerer.ts";
import type { Clock } from "./clock.ts";
import { type DnsStub, type DnsStubPorts, openDnsStub } from "./dns-stub.ts";
import { createForwarder } from "./forward.ts";
import { createLocalCheck, type Ipv6Range, openIpv6Range } from "./ipv6-range.ts";
import { type KeptAddresses, openKeptAddresses } from "./kept-addresses.ts";
import { filesAllowed } from "./open-files.ts";
import type { Problem } from "./port-fault.ts";
import { createPortOpener, problemOf } from "./port-opener.ts";
import { parseIpv6Prefix, parseRange } from "./range.ts";
import { keepPortsTrue } from "./refresh.ts";
import { ServedNames } from "./served-names.ts";
import { TcpClients, type TransparentContext } from "./tcp-clients.ts";
import { createUdpService, OpenSessions } from "./udp-service.ts";
import type { Upstream } from "./upstream-choice.ts";
import { type Upstreams, watchUpstreams } from "./upstreams.ts";

export type TransparentConfig = Pick<
  ProxyConfig,
  | "dnsListen"
  | "transparentRange"
  | "transparentIpv6"
  | "upstreamDns"
  | "stateDir"
  | "resolveTimeout"
  | "restartPatience"
  | "drainTimeout"
>;

export interface RunningTransparent {
  /** Where it answers DNS; the port is the real one when the system chose it. */
  dns: ListenAddress;
  status(): TransparentStatus;
  /** Answers nobody any more and lets no more clients in, gives busy ones the drain time-out, and ends them. */
  close(): Promise<void>;
}

export interface TransparentStatus {
  /** Where it answers DNS, as address:port, and where it sends questions about other names. */
  dns: string;
  upstreams: readonly string[];
  /** Names that have listeners, and how many listeners there are. */
  names: number;
  listeners: number;
  /** Clients connected now, by TCP, and by UDP. */
  connections: number;
  sessions: number;
  /** Whether names get IPv6 addresses as well. */
  ipv6: boolean;
  queries: number;
  dropped: number;
  /** What does not work and how it is mended: about the first hundred of it, and how much more there is. */
  problems: readonly Problem[];
  moreProblems: number;
}

/** How long after the start a name may wait for the resolver to say which zones it has. */
const zonesMs = 2_000;
/** How often it is tried whether IPv6 addresses can be bound. */
const probeMs = 30_000;
/** A quarter of what the process may open is for listeners, so that connections always find some. */
const listenerShare = 0.25;
const mostListeners = 65_536;
/** The same of sockets to the DNS servers outside, one for each time one is asked. */
const forwardedShare = 0.25;
const mostForwarded = 2_048;

/**
 * Answers DNS for the zones with addresses of this machine, and leads whoever connects to one to the service, whatever program it is.
 * Throws a BerthError: `bad-config`, `bad-state-dir`, or `port-in-use` or `cannot-listen` when DNS cannot be answered.
 */
export async function startTransparent(
  config: TransparentConfig,
  context: TransparentContext,
): Promise<RunningTransparent> {
  const clock = systemClock();
  const range = parseRange(config.transparentRange);
  const ipv6 = await openIpv6Range(parseIpv6Prefix(config.transparentIpv6));
  const addresses = await openKeptAddresses(config, range, ipv6, context.log);
  const isLocal = createLocalCheck(ipv6, range.size);
  const names = serveNames(config, context, { addresses, isLocal, clock });
  const find = (name: Name) => names.served.find(name);
  const asked = await answerDns(config, context, { addresses, find, isLocal, clock });
  const ends = [
    keepPortsTrue(context.stub, names.served, clock),
    probeFor(ipv6, clock, context.log),
    asked.endForwarding,
  ];
  context.log.info(startText(asked.dns.address, config, ipv6));

  let closed: Promise<void> | undefined;
  async function close(): Promise<void> {
    for (const end of ends) end();
    await asked.dns.close();
    const drainMs = config.drainTimeout * 1000;
    // Before their ports are closed, which would end them all.
    const sessionsEnded = names.sessions.close(drainMs);
    await names.served.close();
    await Promise.all([names.tcp.close(drainMs), sessionsEnded]);
    await addresses.store();
  }
  return {
    dns: asked.dns.address,
    status: () => statusOf(names, asked, addresses, ipv6),
    close: () => (closed ??= close()),
  };
}

interface ServingNames {
  served: ServedNames;
  tcp: TcpClients;
  sessions: OpenSessions;
}

function serveNames(
  { restartPatience }: TransparentConfig,
  context: TransparentContext,
  parts: { addresses: KeptAddresses; isLocal: DnsStubPorts["isLocal"]; clock: Clock },
): ServingNames {
  const { addresses, isLocal, clock } = parts;
  const { log, stub, times } = context;
  const sessions = new OpenSessions();
  const tcp = new TcpClients(context, (name) => void served.refresh(name));
  const onConnection = (name: Name): void => served.noteConnection(name);
  const udp = createUdpService(context, { sessions, isLocal, onConnection, clock });
  const served: ServedNames = new ServedNames({
    portsOf: (name, question) => stub.portsOf(name, question),
    addresses,
    open: createPortOpener({ tcp, udp, isLocal, onConnection, log, now: clock.now }),
    clock,
    resolveMs: times.resolve,
    patienceMs: restartPatience * 1000,
    mostPorts: Math.min(mostListeners, Math.floor(filesAllowed() * listenerShare)),
    onFault: (fault) =>
      log.error(
        `the ports of a name stay as they are, by a fault of the proxy's own: ${describeFault(fault)}`,
      ),
  });
  return { served, tcp, sessions };
}

interface AnsweringDns {
  dns: DnsStub;
  upstreams: Upstreams;
  endForwarding: () => void;
}

async function answerDns(
  config: TransparentConfig,
  { stub, times, log, lineLimits }: TransparentContext,
  parts: { addresses: KeptAddresses; find: AnswererPorts["find"]; clock: Clock } & Pick<
    DnsStubPorts,
    "isLocal"
  >,
): Promise<AnsweringDns> {
  const { addresses, find, isLocal, clock } = parts;
  const upstreams = watchUpstreams(config, { log, now: clock.now });
  const servers = () => upstreams.current().filter(isNotThisOne);
  const mostSockets = Math.min(mostForwarded, Math.floor(filesAllowed() * forwardedShare));
  const forwarder = createForwarder(servers, clock.now, mostSockets);
  // One timer for all questions: from then on no question waits for the zones to become known.
  const waitedEnough = new Promise<undefined>((resolve) => clock.after(zonesMs, () => resolve(undefined)));
  const answerer = createAnswerer({
    stub,
    zoneSoon: (name) => Promise.race([stub.zoneOnceKnown(name), waitedEnough]),
    find,
    nameAt: addresses.nameAt,
    isOurs: addresses.isOurs,
    forward: (message, transport) => forwarder.forward(message, transport),
    onRebinding(name) {
      const line = lineLimits.refused(
        `${name} was refused: the DNS server outside leads it to an address of ours`,
      );
      if (line !== undefined) log.warn(line);
    },
    resolveMs: times.resolve,
    ownAddress: parseAddress(config.dnsListen.host),
  });
  const dns = await openDns(config.dnsListen, () =>
    openDnsStub(config.dnsListen, { answerer, isLocal, log }),
  );

  /** A question that comes back would go in a circle. */
  function isNotThisOne({ address, port }: Upstream): boolean {
    return address !== dns.address.host || port !== dns.address.port;
  }
  function endForwarding(): void {
    forwarder.close();
    upstreams.close();
  }
  return { dns, upstreams, endForwarding };
}

function statusOf(
  { served, tcp, sessions }: ServingNames,
  { dns, upstreams }: AnsweringDns,
  addresses: KeptAddresses,
  { isUsable }: Ipv6Range,
): TransparentStatus {
  const { names, listeners, problems, moreProblems } = served.status();
  const { queries, dropped } = dns.status();
  const fault = addresses.fault();
  return {
    dns: endpointText(dns.address),
    upstreams: upstreams.current().map((upstream) => formatEndpoint(upstream)),
    names,
    listeners,
    connections: tcp.count,
    sessions: sessions.count,
    ipv6: isUsable,
    queries,
    dropped,
    problems: [...(fault === undefined ? [] : [storingProblem(fault)]), ...problems],
    moreProblems,
  };
}

/** Tries again and again whether IPv6 addresses can be bound: a route may come and go. Returns its end. */
function probeFor(ipv6: Ipv6Range, clock: Clock, log: Log): () => void {
  let cancel = clock.after(probeMs, probe);
  function probe(): void {
    cancel = clock.after(probeMs, probe);
    void ipv6.probe().then((isNew) => {
      if (isNew) log.info(`names get ${ipv6.isUsable ? "IPv6 addresses as well" : "no more IPv6 addresses"}`);
    });
  }
  return () => cancel();
}

function startText(dns: ListenAddress, config: TransparentConfig, { isUsable }: Ipv6Range): string {
  const ranges = isUsable
    ? `${config.transparentRange} and ${config.transparentIpv6}`
    : config.transparentRange;
  return `DNS at ${endpointText(dns)}; names get addresses of ${ranges}`;
}

async function openDns(listen: ListenAddress, open: () => Promise<DnsStub>): Promise<DnsStub> {
  try {
    return await open();
  } catch (cause) {
    const address = parseAddress(listen.host) ?? (listen.host as Address);
    const isTcp = cause instanceof Error && "syscall" in cause && cause.syscall === "listen";
    const at = { address, port: listen.port, protocol: isTcp ? "tcp" : "udp" } as const;
    const { fault, mend } = await problemOf("DNS", at, cause);
    const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const message = `DNS cannot be answered: ${fault}; ${mend}; or choose another address with --dns-listen`;
    throw new BerthError(inUse ? "port-in-use" : "cannot-listen", message, { who: "--dns-listen", cause });
  }
}

function storingProblem(fault: string): Problem {
  return {
    what: "the addresses of names",
    fault,
    mend: "make room, or name another directory with --state-dir",
  };
}

function endpointText({ host, port }: ListenAddress): string {
  return formatEndpoint({ address: host, port });
}

function systemClock(): Clock {
  return {
    now: () => performance.now(),
    after(ms, run) {
      // What keeps the process alive is that it listens.
      const timer = setTimeout(run, ms).unref();
      return () => clearTimeout(timer);
    },
  };
}
