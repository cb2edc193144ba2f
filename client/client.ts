import type { LookupOptions } from "node:dns";
import type { Agent as HttpAgent, AgentOptions as HttpAgentOptions } from "node:http";
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from "node:https";
import type { Socket } from "node:net";

import type {
  Client,
  DispatcherOptions,
  FetchDispatcher,
  LookupCallback,
  OpenOptions,
  ResolveOptions,
  ServiceEndpoint,
  Target,
} from "./program/client-types.ts";
import { createClient } from "./program/create-client.ts";
import type { ServiceSocket, ServiceSocketOptions } from "./program/service-socket.ts";

// What `import ... from "berth/client"` gives, and nothing else.
export { BerthError } from "../shared/errors.ts";
export type {
  Client,
  ClientOptions,
  DispatcherOptions,
  FetchDispatcher,
  LookupCallback,
  NameLookup,
  OpenOptions,
  ResolveOptions,
  ServiceEndpoint,
  Target,
} from "./program/client-types.ts";
export { ServiceSocket, type ServiceSocketOptions } from "./program/service-socket.ts";
export { createClient };

let standard: Client | undefined;

/** The client of the functions below, as the environment says: made when it is first used, and again after `close`. */
function standardClient(): Client {
  standard ??= createClient();
  return standard;
}

/** As `Client.lookup`, of a client that is set up by the environment. */
export function lookup(hostname: string, callback: LookupCallback): void;
export function lookup(hostname: string, options: LookupOptions | number, callback: LookupCallback): void;
export function lookup(
  hostname: string,
  options: LookupOptions | number | LookupCallback,
  callback?: LookupCallback,
): void {
  const { lookup: ask } = standardClient();
  if (typeof options === "function") ask(hostname, options);
  else if (callback !== undefined) ask(hostname, options, callback);
  else throw new TypeError("lookup needs a callback, as dns.lookup does");
}

/** As `Client.resolve`, of a client that is set up by the environment. */
export function resolve(host: string, port: number, options?: ResolveOptions): Promise<ServiceEndpoint[]> {
  return standardClient().resolve(host, port, options);
}

/** As `Client.connect`, of a client that is set up by the environment. */
export function connect(target: Target & ServiceSocketOptions, listener?: () => void): ServiceSocket;
export function connect(port: number, host: string, listener?: () => void): ServiceSocket;
export function connect(
  target: number | (Target & ServiceSocketOptions),
  host?: string | (() => void),
  listener?: () => void,
): ServiceSocket {
  if (typeof target === "number") return standardClient().connect(target, String(host), listener);
  return standardClient().connect(target, typeof host === "function" ? host : undefined);
}

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
export function dispatcher(options?: DispatcherOptions): FetchDispatcher {
  return standardClient().dispatcher(options);
}

/** Ends the client that is set up by the environment, if there is one. */
export async function close(): Promise<void> {
  const ended = standard;
  standard = undefined;
  await ended?.close();
}
