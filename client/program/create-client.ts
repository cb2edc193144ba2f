import { connect as connectTcp, type Socket } from "node:net";

import { parseAddress } from "../../shared/address.ts";
import type { Log } from "../../shared/log.ts";
import type { Destination } from "../answers/destination.ts";
import { connectFault } from "../connect/connect-fault.ts";
import { type Connector, createConnector } from "../connect/connector.ts";
import { type Candidate, orderEndpoints } from "../connect/endpoint-order.ts";
import { createStubResolver } from "../create-stub-resolver.ts";
import type { StubResolver } from "../stub-resolver.ts";
import { clientSettings } from "./client-options.ts";
import type { Client, ClientOptions, ResolveOptions, ServiceEndpoint, Target } from "./client-types.ts";
import { createDispatcher } from "./dispatcher.ts";
import { createHttpAgent, createHttpsAgent } from "./http-agent.ts";
import { createNameLookup } from "./name-lookup.ts";
import { type OpenSocket, ServiceSocket, type ServiceSocketOptions } from "./service-socket.ts";

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
    lookup: createNameLookup(stub),
    resolve: async (host, port, options = {}) => resolveEndpoints(stub, destinationOf(host, port), options),
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
