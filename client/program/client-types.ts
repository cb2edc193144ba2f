import type { LookupAddress, LookupOptions } from "node:dns";
import type { Agent as HttpAgent, AgentOptions as HttpAgentOptions } from "node:http";
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from "node:https";
import type { Socket } from "node:net";
import type { buildConnector, Agent as Dispatcher } from "undici";

import type { ServiceSocket, ServiceSocketOptions } from "./service-socket.ts";

/** What programs that use the library see, and nothing of how it is made: these types are published. */

/** What is left out is taken from the environment, and from here where that says nothing either. */
export interface ClientOptions {
  /** Base URLs of the resolver, or of several of one registry (BERTH_RESOLVER, by comma; https://127.0.0.1:8053). */
  resolver?: string | readonly string[];
  /** IP addresses of a resolver named by a hostname (BERTH_RESOLVER_ADDRESS, by comma; what the system's DNS says). */
  resolverAddress?: string | readonly string[];
  /** The file of a token for lookups, which a resolver may ask for (BERTH_TOKEN_FILE; none). Read again when it changes. */
  tokenFile?: string;
  /** The resolver's `ca.pem`, trusted for resolvers alone and besides the system's authorities (BERTH_CA; none). */
  ca?: string;
  /** The zones to ask the resolver about (BERTH_ZONE, by comma; what the resolver says it answers for). */
  zone?: string | readonly string[];
  /** Milliseconds to find where a name leads (BERTH_RESOLVE_TIMEOUT, in seconds; 5,000). */
  resolveTimeoutMs?: number;
  /** Milliseconds to connect, all endpoints of a name together (BERTH_CONNECT_TIMEOUT, in seconds; 10,000). */
  connectTimeoutMs?: number;
  /** Milliseconds to wait for a name that was there a moment ago (BERTH_RESTART_PATIENCE, in seconds; 10,000). 0: not at all. */
  restartPatienceMs?: number;
}

export type LookupCallback = (
  fault: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** `dns.lookup` of Node, for the names of a zone as well. */
export interface NameLookup {
  (hostname: string, callback: LookupCallback): void;
  (hostname: string, options: LookupOptions | number, callback: LookupCallback): void;
}

export interface DispatcherOptions extends Omit<Dispatcher.Options, "connect" | "factory"> {
  /** As undici has it, for https: such as `ca`, or a client's `cert` and `key`. */
  connect?: buildConnector.BuildOptions;
}

/**
 * What `dispatcher` gives: an undici Agent, and what the types of the platform's `fetch` take, which come from another copy of undici's and
 * differ in small things.
 */
export type FetchDispatcher = Dispatcher &
  (RequestInit extends { dispatcher?: infer Taken } ? NonNullable<Taken> : unknown);

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
  dispatcher(options?: DispatcherOptions): FetchDispatcher;
  /** Ends what it has under way with the resolver. Agents, dispatchers and sockets are their users' to close. */
  close(): Promise<void>;
}
