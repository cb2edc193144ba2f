import type { Agent as HttpAgent, AgentOptions as HttpAgentOptions } from "node:http";
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import type { Agent as Dispatcher } from "undici";

import { parseAddress } from "../shared/address.ts";
import type { Log } from "../shared/log.ts";
import { type ClientOptions, clientSettings } from "./client-options.ts";
import { connectFault } from "./connect-fault.ts";
import { type Connector, createConnector } from "./connector.ts";
import { createStubResolver } from "./create-stub-resolver.ts";
import type { Destination } from "./destination.ts";
import { createDispatcher, type DispatcherOptions } from "./dispatcher.ts";
import { type Candidate, orderEndpoints } from "./endpoint-order.ts";
import { createHttpAgent, createHttpsAgent } from "./http-agent.ts";
import { createNameLookup, type NameLookup } from "./name-lookup.ts";
import { type OpenSocket, ServiceSocket, type ServiceSocketOptions } from "./service-socket.ts";
import type { StubResolver } from "./stub-resolver.ts";

export { BerthError } from "../shared/errors.ts";
export type { ClientOptions, DispatcherOptions, NameLookup };
export { ServiceSocket, type ServiceSocketOptions };

/** Where a service can be reached. Lower priority first; weight shares the load within a priority (RFC 2782). */
export interface ServiceEndpoint {
  /** IP addresses, to be tried in this order. */
  addresses: readonly string[];
  port: number;
  priority: number;
  weight: number;
}

export interface ResolveOptions {
  /** Which service port of that number is meant; `tcp` unless said otherwise. */
  protocol?: "tcp" | "udp";
  /** Past every cache. */
  fresh?: boolean;
  signal?: AbortSignal;
}

export interface Target {
  host: string;
  /** The service's own port, as its container has it; berth knows where that is published. */
  port: number;
}

export interface OpenOptions extends ServiceSocketOptions {
  signal?: AbortSignal;
}

/**
 * berth's names for a program: the names of the resolver's zones lead to the endpoints of their services, all others where the system says. A
 * restart of a service goes unnoticed as far as that can be: every endpoint is tried, then the resolver is asked afresh, then the name is waited
 * for. It keeps no process alive by itself, and changes nothing for the rest of the process.
 *
 * What fails throws, or is emitted as, a BerthError whose `code` is the one of Node's own functions: ENOTFOUND, ECONNREFUSED, EHOSTUNREACH,
 * ETIMEDOUT, EAI_AGAIN (no resolver answers); `no-token` when the resolver wants a token.
 */
export interface Client {
  /**
   * `dns.lookup`, for net's and http's option `lookup` too. It cannot give the port: for a service it answers the addresses of the hosts its
   * containers are on, which help only where the service is published at its own port. `resolve`, `connect` and the agents know the port.
   */
  lookup: NameLookup;
  /** The endpoints of a service port, in the order to try them: a new one each time, by priority and weight. At least one. */
  resolve(host: string, port: number, options?: ResolveOptions): Promise<ServiceEndpoint[]>;
  /** `net.connect`: a stream at once, which can be written to while it connects. */
  connect(target: Target & ServiceSocketOptions, listener?: () => void): ServiceSocket;
  connect(port: number, host: string, listener?: () => void): ServiceSocket;
  /** The same, not connecting yet: for libraries that call `connect(port, host)` themselves, such as pg's option `stream`. */
  socket(options?: ServiceSocketOptions): ServiceSocket;
  /** One of Node's own sockets, once it is connected. */
  open(target: Target, options?: OpenOptions): Promise<Socket>;
  /** For `http.request`. */
  agent(options?: HttpAgentOptions): HttpAgent;
  /** For `https.request`: TLS for the name asked for. */
  httpsAgent(options?: HttpsAgentOptions): HttpsAgent;
  /** For `fetch(url, { dispatcher })` and undici. */
  dispatcher(options?: DispatcherOptions): Dispatcher;
  /** Ends what it has under way with the resolver. Agents, dispatchers and sockets are their users' to close. */
  close(): Promise<void>;
}

/** Throws a BerthError `bad-config` when an option, or what the environment says in its place, is wrong. */
export function createClient(options: ClientOptions = {}, ports: { log?: Log } = {}): Client {
  const { stub: settings, limits } = clientSettings(options, process.env);
  const stub = createStubResolver(settings, { log: ports.log ?? silent });
  const now = () => performance.now();
  return clientOver(stub, createConnector(stub, limits, { now, random: Math.random }));
}

function clientOver(stub: StubResolver, connector: Connector): Client {
  const openAny: OpenSocket = (target, options) => openSocket(connector, target, options);
  const socket = (options: ServiceSocketOptions = {}) => new ServiceSocket(openAny, options);
  function connect(
    first: number | (Target & ServiceSocketOptions),
    second?: string | (() => void),
    third?: () => void,
  ): ServiceSocket {
    if (typeof first === "number") return socket().connect(first, String(second), third);
    return socket(first).connect(first, typeof second === "function" ? second : undefined);
  }
  return {
    lookup: createNameLookup(() => stub),
    resolve: (host, port, options = {}) => resolveEndpoints(stub, destinationOf(host, port), options),
    connect,
    socket,
    open: (target, { allowHalfOpen = false, signal = never } = {}) =>
      openAny(target, { allowHalfOpen, signal }),
    agent: (options = {}) => createHttpAgent(openAny, options),
    httpsAgent: (options = {}) => createHttpsAgent(openAny, options),
    dispatcher: (options = {}) => createDispatcher(openAny, options),
    close: () => stub.close(),
  };
}

const never = new AbortController().signal;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

async function openSocket(
  connector: Connector,
  { host, port }: Target,
  { allowHalfOpen, signal }: { allowHalfOpen: boolean; signal: AbortSignal },
): Promise<Socket> {
  const destination = destinationOf(host, port);
  const dial = (to: Candidate) =>
    connectTcp({ host: to.address, port: to.port, allowHalfOpen, noDelay: true, autoSelectFamily: false });
  const outcome = await connector.connect(destination, { signal, dial });
  if (outcome.kind === "connected") return outcome.upstream;
  signal.throwIfAborted();
  throw connectFault(destination, outcome);
}

async function resolveEndpoints(
  stub: StubResolver,
  destination: Destination,
  options: ResolveOptions,
): Promise<ServiceEndpoint[]> {
  const resolution = await stub.resolve(destination, options);
  options.signal?.throwIfAborted();
  if (resolution.kind !== "endpoints") throw connectFault(destination, resolution);
  return [...orderEndpoints(resolution.endpoints, Math.random)];
}

/** Throws a RangeError for what is no port. */
function destinationOf(host: string, port: number): Destination {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new RangeError(`${port} is no port; 1 to 65535 are`);
  const address = parseAddress(host);
  return address === undefined ? { kind: "name", name: host, port } : { kind: "address", address, port };
}

let standard: Client | undefined;

/** The client of the functions below, as the environment says: made when it is first used, and again after `close`. */
function standardClient(): Client {
  standard ??= createClient();
  return standard;
}

/** As `Client.lookup`, of a client that is set up by the environment. */
export const lookup: NameLookup = (...given: [string, ...unknown[]]) =>
  (standardClient().lookup as (...all: unknown[]) => void)(...given);

/** As `Client.resolve`, of a client that is set up by the environment. */
export function resolve(host: string, port: number, options?: ResolveOptions): Promise<ServiceEndpoint[]> {
  return standardClient().resolve(host, port, options);
}

/** As `Client.connect`, of a client that is set up by the environment. */
export const connect: Client["connect"] = (...given: [unknown, ...unknown[]]) =>
  (standardClient().connect as (...all: unknown[]) => ServiceSocket)(...given);

/** As `Client.socket`, of a client that is set up by the environment. */
export function socket(options?: ServiceSocketOptions): ServiceSocket {
  return standardClient().socket(options);
}

/** As `Client.open`, of a client that is set up by the environment. */
export function open(target: Target, options?: OpenOptions): Promise<Socket> {
  return standardClient().open(target, options);
}

/** As `Client.agent`, of a client that is set up by the environment. */
export function agent(options?: HttpAgentOptions): HttpAgent {
  return standardClient().agent(options);
}

/** As `Client.httpsAgent`, of a client that is set up by the environment. */
export function httpsAgent(options?: HttpsAgentOptions): HttpsAgent {
  return standardClient().httpsAgent(options);
}

/** As `Client.dispatcher`, of a client that is set up by the environment. */
export function dispatcher(options?: DispatcherOptions): Dispatcher {
  return standardClient().dispatcher(options);
}

/** Ends the client that is set up by the environment, if there is one. */
export async function close(): Promise<void> {
  const ended = standard;
  standard = undefined;
  await ended?.close();
}
